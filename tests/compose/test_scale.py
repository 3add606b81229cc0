"""Two of each service behind a balancer, on a replica set of three: what ops/compose.scale.yaml promises."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec
import pytest

from tests.compose.conftest import ComposeStack, docker, running
from tests.waiting import until
from tools.chaos.client import Client, open_http
from tools.chaos.history import History, Operation

pytestmark = pytest.mark.timeout(1200)  # the first test also pulls and builds

MEMBERS = ["mongo", "mongo-2", "mongo-3"]
ORDERS_EACH = 72  # while one container is killed: 504 in all
AT_ONCE = 16
HEALTHY_WITHIN_SECONDS = 120
PAID_WITHIN_SECONDS = 120  # a lease of 45 seconds, of a process that was killed, and a few tries


@pytest.fixture(scope="module")
def scaled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeStack]:
    empty = tmp_path_factory.mktemp("scale") / "env"
    with running(empty, "compose.yaml", "ops/compose.scale.yaml") as stack:
        yield stack


def containers(stack: ComposeStack, *services: str) -> list[str]:
    """The ids of the containers of these services, or of all."""
    return stack.run("ps", "--all", "--quiet", *services).split()


def test_every_container_is_confined_and_only_the_balancer_is_published(scaled: ComposeStack) -> None:
    described: list[dict[str, Any]] = json.loads(docker("inspect", *containers(scaled)))
    assert len(described) == len(MEMBERS) + 2 + 2 + 1
    for container in described:
        host = container["HostConfig"]
        assert (host["ReadonlyRootfs"], host["CapDrop"]) == (True, ["ALL"]), container["Name"]
        assert host["SecurityOpt"] == ["no-new-privileges"], container["Name"]
        assert host["Memory"] > 0 < host["PidsLimit"], container["Name"]
        assert container["Config"]["User"] not in {"", "root", "0"}, container["Name"]
    published = [
        (port, binding["HostIp"])
        for container in described
        for port, bindings in container["NetworkSettings"]["Ports"].items()
        for binding in bindings or []
    ]
    assert sorted(published) == [("8000/tcp", "127.0.0.1"), ("8001/tcp", "127.0.0.1")]


async def test_every_order_is_paid_once_although_one_of_everything_is_killed_in_turn(scaled: ComposeStack) -> None:
    apis, gateways = containers(scaled, "order-api"), containers(scaled, "payment-gateway")
    members, balancers = containers(scaled, *MEMBERS), containers(scaled, "haproxy")
    async with open_http() as http:
        shop = client_of(http, scaled.order_api)

        async def kill(victim: str, among: list[str]) -> list[Operation]:
            await until_healthy(among)
            return await place_while_killed(shop, victim, back_at_once=among == [victim])

        # Those that share work stand apart: the first is mostly back when it is the turn of the second.
        unnoticed = await kill(apis[0], apis)
        others = await kill(gateways[0], gateways)
        primary = primary_of(scaled)
        others += await kill(next(one for one in members if one != primary), members)
        unnoticed += await kill(apis[1], apis)
        others += await kill(gateways[1], gateways)
        others += await kill(primary_of(scaled), members)
        others += await kill(balancers[0], balancers)

        acknowledged = {answer_of(one)["id"] for one in [*unnoticed, *others]}
        assert len(acknowledged) == 7 * ORDERS_EACH
        tries = {len(one.attempts) for one in unnoticed}
        assert tries == {1}, "the balancer sends again what a killed server did not answer"

        await until_none_is_pending(shop)
        orders = [one async for one in pages(shop, "/api/orders")]
        provider = client_of(http, scaled.payment_gateway, bearer="development-key")
        charges = [one async for one in pages(provider, "/v1/charges")]
    assert {order["id"]: order["status"] for order in orders} == dict.fromkeys(acknowledged, "Paid")
    assert Counter((charge["reference"], charge["status"]) for charge in charges) == Counter(
        (order_id, "succeeded") for order_id in acknowledged
    )


def client_of(http: aiohttp.ClientSession, url: str, *, bearer: str | None = None) -> Client:
    """It sends a request again, with the same key, until it has a clear answer."""
    return Client(http, History(), [url], name="shop", merchant="default", bearer=bearer, draw=random.Random(1))


async def place_while_killed(shop: Client, victim: str, *, back_at_once: bool) -> list[Operation]:
    """Half of the orders are on their way when the container is killed, the others come while it is gone. All are answered
    before it is started again, unless it is `back_at_once`.
    """
    free = asyncio.Semaphore(AT_ONCE)

    async def place(number: int) -> Operation:
        name = f"{victim[:12]}-{number}"
        body = {"orderNumber": name, "amount": 99.99, "currency": "USD"}
        async with free:
            while True:
                operation = await shop.post("place", "/api/orders", body, key=name)
                if operation.outcome != "unknown":  # on a slow machine an election may outlast a client's patience
                    return operation

    half = ORDERS_EACH // 2
    before = [asyncio.create_task(place(number)) for number in range(half)]
    await asyncio.wait(before, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.to_thread(docker, "kill", victim)
    after = [asyncio.create_task(place(number)) for number in range(half, ORDERS_EACH)]
    if back_at_once:
        await asyncio.to_thread(docker, "start", victim)
    placed = await asyncio.gather(*before, *after)
    if not back_at_once:
        await asyncio.to_thread(docker, "start", victim)
    return placed


def primary_of(stack: ComposeStack) -> str:
    """The container whose mongod is primary."""
    script = "db.hello().primary"
    host = stack.run("exec", "-T", "mongo", "mongosh", "--quiet", "--eval", script)
    [container] = containers(stack, host.partition(":")[0])
    return container


async def until_healthy(ids: Sequence[str]) -> None:
    async def healthy() -> bool:
        states = await asyncio.to_thread(docker, "inspect", "--format", "{{.State.Health.Status}}", *ids)
        return set(states.split()) == {"healthy"}

    await until(healthy, "every container is healthy", seconds=HEALTHY_WITHIN_SECONDS)


async def until_none_is_pending(shop: Client) -> None:
    async def none_is() -> bool:
        operation = await shop.get("list", "/api/orders?status=Pending&limit=1")
        return not answer_of(operation)["data"]

    await until(none_is, "no order is Pending", seconds=PAID_WITHIN_SECONDS)


async def pages(client: Client, path: str) -> AsyncIterator[dict[str, Any]]:
    """Everything in a list."""
    cursor: str | None = ""
    while cursor is not None:
        page = answer_of(await client.get("list", f"{path}?limit=100{cursor}"))
        for one in page["data"]:
            yield one
        cursor = page["nextCursor"] and f"&cursor={quote(page['nextCursor'])}"


def answer_of(operation: Operation) -> dict[str, Any]:
    assert operation.answer is not None, operation
    return msgspec.json.decode(operation.answer.body, type=dict[str, Any])
