"""A database that is not of this machine: three members, 5 ms each way, TLS, and a user who may do what is documented."""

import asyncio
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pymongo import MongoClient

from tests.e2e.conftest import order_body, place_until_acknowledged, running_stack
from tests.guarded_mongod import PASSWORD, documented_actions, guarding, make_certificates
from tests.waiting import until
from tools.chaos.links import Trouble, Way
from tools.chaos.proxy import Proxy
from tools.mongod import scratch
from tools.process import free_port
from tools.replica_set import SIZE, ReplicaSet

ORDERS = 500
AT_ONCE = 32
FAR = Way(delay_seconds=0.005)
NAME = "far_away"


@contextmanager
def proxies(ports: Sequence[int]) -> Iterator[list[Proxy]]:
    """One before each port, in a loop of their own, which no test holds up."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    made = [Proxy([port], source_of=lambda _port: "far away") for port in ports]

    async def begin() -> None:
        for proxy in made:
            proxy.link("far away").add(Trouble(requests=FAR, replies=FAR))
            await proxy.start()

    async def end() -> None:
        for proxy in made:
            await proxy.close()

    asyncio.run_coroutine_threadsafe(begin(), loop).result(20)
    yield made
    asyncio.run_coroutine_threadsafe(end(), loop).result(20)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(20)
    loop.close()


@pytest.fixture(scope="module")
def far_away() -> Iterator[tuple[ReplicaSet, str]]:
    """The set, as root knows it, and the URI of the user."""
    ports = [free_port() for _ in range(SIZE)]
    with tempfile.TemporaryDirectory(prefix="mongod-", dir=scratch(), ignore_cleanup_errors=True) as directory:
        home = Path(directory)
        make_certificates(home)
        with proxies(ports) as before:
            addresses = [f"localhost:{proxy.port}" for proxy in before]
            replica_set = ReplicaSet(home, ports=ports, addresses=addresses, options=guarding(home))
            try:
                replica_set.start()
                _make_users(replica_set)
                options = f"replicaSet=rs0&authSource=admin&tls=true&tlsCAFile={home / 'authority.pem'}"
                yield replica_set, f"mongodb://{NAME}:{PASSWORD}@{','.join(addresses)}/?{options}"
            finally:
                replica_set.stop()


def _make_users(replica_set: ReplicaSet) -> None:
    """While there is none, whoever comes from this machine may make the first one."""
    primary = replica_set.wait_for_primary()
    primary.run({"createUser": "root", "pwd": PASSWORD, "roles": ["root"]}, seconds=20)
    for member in replica_set.members:
        member.uri = f"mongodb://root:{PASSWORD}@127.0.0.1:{member.port}/?directConnection=true&authSource=admin"
    privileges = [
        {"resource": {"db": name, "collection": ""}, "actions": documented_actions()}
        for name in (NAME, f"{NAME}_gateway")
    ]
    primary.run({"createRole": NAME, "privileges": privileges, "roles": []}, seconds=20)
    primary.run({"createUser": NAME, "pwd": PASSWORD, "roles": [NAME]}, seconds=20)


async def test_c9_orders_are_placed_and_paid_once_on_a_database_that_is_far_away_and_changes_its_primary(
    far_away: tuple[ReplicaSet, str], http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    replica_set, uri = far_away
    with running_stack(uri, NAME, tmp_path, CHARGE_DELAY_SECONDS="0") as stack:
        places = asyncio.Semaphore(AT_ONCE)
        placed: list[str] = []

        async def place() -> None:
            async with places:
                placed.append(await place_until_acknowledged(http, lambda: stack.order_apis[0].url, order_body()))

        placing = [asyncio.create_task(place()) for _ in range(ORDERS)]

        async def is_under_way() -> bool:
            return len(placed) > ORDERS // 5

        await until(is_under_way, "a fifth is placed")
        await asyncio.to_thread(replica_set.step_down)
        await asyncio.gather(*placing)

        async def are_paid() -> bool:
            return await asyncio.to_thread(_count, replica_set, NAME, "orders", {"status": "Paid"}) == ORDERS

        await until(are_paid, "all are paid", seconds=120)
    assert len(set(placed)) == ORDERS
    assert _count(replica_set, f"{NAME}_gateway", "charges", {}) == ORDERS
    assert _count(replica_set, NAME, "orders", {"charges.1": {"$exists": True}}) == 0


def _count(replica_set: ReplicaSet, database: str, collection: str, wanted: dict[str, Any]) -> int:
    with MongoClient[dict[str, Any]](replica_set.wait_for_primary().uri) as client:
        return client[database][collection].count_documents(wanted)
