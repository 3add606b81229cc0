"""The world comes up, survives each thing that the nemesis can do, and is whole again afterwards."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from random import Random

import aiohttp
import pytest

from shared.mongo import connect
from tests.waiting import until
from tools.chaos.client import Client, open_http
from tools.chaos.cluster import CLIENTS, MONGODS, SERVICES, Cluster
from tools.chaos.faults import KINDS, mongodb
from tools.chaos.faults.fault import MEMBERSHIP
from tools.chaos.faults.processes import libfaketime, restart_all, skew_clock
from tools.chaos.faults.provider import rotate_secret
from tools.chaos.history import History
from tools.chaos.links import Link
from tools.chaos.strangers import Strangers


@pytest.fixture(scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    async with Cluster(Path(tmp_path_factory.mktemp("cluster")), seed=1) as cluster:
        yield cluster


async def is_paid_everywhere(cluster: Cluster, name: str) -> None:
    """An order through each order_api, with all that lies between them and the money."""
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as http,
        connect(cluster.world.mongodb_uri, app_name="tests") as client,
    ):
        orders = client[cluster.world.databases[0]]["orders"]
        for number, url in enumerate(cluster.world.order_apis):
            headers = {
                "Authorization": f"Bearer {cluster.world.merchants[number].api_key}",
                "Idempotency-Key": f"{name}-{number}",
            }
            body = {"orderNumber": f"{name}-{number}", "amount": 10, "currency": "EUR"}
            async with http.post(f"{url}/api/orders", json=body, headers=headers) as response:
                assert response.status == 201, await response.text()
                placed = (await response.json())["id"]

            async def is_paid(order_id: str = placed) -> bool:
                return bool((await orders.find_one({"_id": order_id}))["status"] == "Paid")  # type: ignore[index]

            await until(is_paid, f"{placed} is paid")


async def test_every_connection_is_known_by_its_process(cluster: Cluster) -> None:
    await is_paid_everywhere(cluster, "known")
    for name in MONGODS:
        links = cluster.proxies[name].links

        def are_open(links: Mapping[str, Link] = links) -> set[str]:
            return {source for source, link in links.items() if link.connections}

        async def all_are_there(are_open: Callable[[], set[str]] = are_open) -> bool:
            return set(SERVICES) <= are_open()

        await until(all_are_there, f"all services are connected to {name}")
        assert are_open() <= {CLIENTS, *SERVICES, *MONGODS}


# Those that have a test below, or take long and differ from others only in whom they hit; `make chaos` has them all.
LEFT_OUT = [
    rotate_secret,
    restart_all,
    mongodb.step_down,
    mongodb.kill_primary,
    mongodb.pause_primary,
    mongodb.cut_off_member,
]
if not libfaketime():
    LEFT_OUT += [skew_clock]


async def test_the_world_is_whole_again_after_each_fault(cluster: Cluster) -> None:
    draw = Random(5)
    faults = [kind(draw) for kind in KINDS if kind not in LEFT_OUT]
    for fault in sorted(faults, key=lambda fault: fault.holds == MEMBERSHIP):
        await asyncio.to_thread(cluster.replica_set.wait_for_primary)
        async with fault.inflict(cluster):
            pass
    await cluster.heal()
    await is_paid_everywhere(cluster, "healed")
    assert cluster.keeper.complaints == []
    assert all(cluster.memory[name] for name in SERVICES)


async def test_a_secret_that_was_rotated_is_refused_and_the_new_one_pays(cluster: Cluster) -> None:
    async with rotate_secret(Random(5)).inflict(cluster):
        await is_paid_everywhere(cluster, "rotated")
    history, draw, nobodys = History(), Random(5), "ord_" + 32 * "0"
    async with open_http() as http:
        sender = Client(http, history, [cluster.world.webhook_url], name="", merchant="", bearer=None, draw=draw)
        strangers = Strangers(sender, sender, cluster.world.webhook_secrets, draw)
        await strangers.invent_payment(nobodys, 100, "USD")
        await strangers.misuse([], nobodys)
    outcomes = {operation.command["trick"]: operation.outcome for operation in history.operations}
    assert (outcomes["retired"], outcomes["forged"], outcomes["unknown order"]) == ("fail", "fail", "ok")


async def test_a_process_that_ends_by_itself_is_a_complaint_and_starts_again(cluster: Cluster) -> None:
    victim = cluster.services[SERVICES[0]]
    assert victim.process is not None
    victim.process.kill()

    async def is_noticed() -> bool:
        return bool(cluster.keeper.complaints)

    await until(is_noticed, "it is noticed")
    assert cluster.keeper.complaints.pop().startswith(f"{SERVICES[0]} ended by itself with -9")
