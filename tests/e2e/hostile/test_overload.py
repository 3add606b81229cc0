"""More at once than is taken: the rest is told to come back, and whoever watches the service is still answered."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pymongo
import pytest

from shared.mongo import Client
from tests.e2e.hostile.conftest import own_targets
from tests.e2e.hostile.raw import Connection, exchange
from tests.e2e.hostile.target import Target
from tests.hostile.answers import Answer
from tests.waiting import until

REQUESTS_MAX = 5


@pytest.fixture(scope="module")
async def targets(
    mongo: Client, mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Target, Target]]:
    limit = {"HTTP_REQUESTS_MAX": str(REQUESTS_MAX)}
    async with own_targets(mongo, mongodb_uri, tmp_path_factory.mktemp("overload"), **limit) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def unharmed() -> None:
    """Here 503 is what is wanted."""


async def test_more_requests_than_are_taken_are_told_to_come_back(target: Target, mongo: Client) -> None:
    at_work: list[asyncio.Task[Answer]] = []

    async def is_full() -> bool:
        at_work.append(asyncio.create_task(exchange(target.port, target.post())))
        return (await exchange(target.port, target.post(b"garbage"))).status == 503

    # Now no write ends. It waits for a checkpoint first; given up too early it would lock when nobody unlocks.
    with pymongo.timeout(120):
        await mongo.admin.command("fsync", lock=True)
    try:
        await until(is_full, "as many are at work as are taken")
        for sent in (target.get(target.collection), target.post(), target.post(b"garbage")):
            _assert_overloaded(await exchange(target.port, sent))
        assert (await exchange(target.port, target.get("/health/live"))).status == 200

        async def is_ready() -> bool:
            return (await exchange(target.port, target.get("/health/ready"))).status == 200

        await until(is_ready, "it is ready although it is full")
    finally:
        await mongo.admin.command("fsyncUnlock")
    answers = await asyncio.gather(*at_work)
    assert [answer.status for answer in answers].count(201) >= REQUESTS_MAX
    await target.assert_serving()


async def test_whoever_is_slow_to_send_a_body_takes_nobody_s_place(target: Target) -> None:
    async with AsyncExitStack() as stack:
        holding = [await stack.enter_async_context(await Connection.open(target.port)) for _ in range(REQUESTS_MAX * 3)]
        for connection in holding:
            await connection.send(target.post()[:-1])
        await target.assert_serving()


def _assert_overloaded(answer: Answer) -> None:
    assert (answer.status, answer.problem) == (503, "overloaded")
    assert int(answer.headers["retry-after"]) >= 1
