"""Clients that take their time: each loses its own connection, and nobody else waits for it.

The deadlines are short here, and those who must not meet one send everything at once.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from shared.mongo import Client
from tests.e2e.hostile.conftest import own_targets
from tests.e2e.hostile.raw import HEAD_SECONDS_MIN, Connection, begun, exchange
from tests.e2e.hostile.target import Target
from tests.hostile.requests import Case
from tests.waiting import until

DEADLINES = {"HTTP_HEAD_SECONDS": str(HEAD_SECONDS_MIN), "HTTP_BODY_SECONDS": "1", "HTTP_WRITE_SECONDS": "1"}


@pytest.fixture(scope="module")
async def targets(
    mongo: Client, mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Target, Target]]:
    async with own_targets(mongo, mongodb_uri, tmp_path_factory.mktemp("slow"), **DEADLINES) as running:
        yield running


UNFINISHED = [
    Case("nothing but a method", lambda _: b"POST", 408),
    Case("half a head", lambda target: target.post()[:40], 408),
    Case("all of a head but the empty line", lambda target: target.post().partition(b"\r\n\r\n")[0] + b"\r\n", 408),
    Case("no body", lambda target: target.post().partition(b"\r\n\r\n")[0] + b"\r\n\r\n", 408),
    Case("half a body", lambda target: target.post()[:-20], 408),
    Case("a body that stays in mid-chunk", lambda target: chunked(target) + b"ff\r\n{", 408),
    Case("chunks that never end", lambda target: chunked(target) + b"2\r\n{}\r\n", 408),
]


def chunked(target: Target) -> bytes:
    head = target.post(headers={"Content-Length": []}).partition(b"\r\n\r\n")[0]
    return head + b"\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("case", UNFINISHED, ids=lambda case: case.name)
async def test_who_does_not_finish_a_request_is_told_and_left(target: Target, case: Case) -> None:
    before = await target.stored()
    async with await begun(target.port, case.sent(target)) as connection:
        await target.assert_serving()
        assert (await connection.answer()).status == case.status
        assert await connection.is_closed()
    assert await target.stored() == before
    await target.assert_serving()


@pytest.mark.parametrize("part", ["head", "body"])
async def test_a_byte_now_and_then_does_not_put_it_off(target: Target, part: str) -> None:
    """What is counted is the time for all of it, not for a byte: else a Slowloris holds a connection for days."""
    sent = (
        target.post(headers={"X-Long": [b"x" * 1_000]}) if part == "head" else target.post(target.body().ljust(1_000))
    )
    started = 10 if part == "head" else len(sent) - 1_000
    async with await begun(target.port, sent[:started]) as connection:
        dripping = asyncio.create_task(_drip(connection, sent[started:]))
        assert (await connection.answer()).status == 408
        dripping.cancel()
        await asyncio.wait([dripping])
    await target.assert_serving()


async def _drip(connection: Connection, rest: bytes) -> None:
    for byte in rest:
        await connection.send(bytes([byte]))
        await asyncio.sleep(0.1)


async def test_who_says_nothing_at_all_is_left(target: Target) -> None:
    async with await Connection.open(target.port) as connection:
        assert await connection.is_closed()


async def test_two_hundred_slow_clients_keep_nobody_out(target: Target) -> None:
    before = target.resident_kib()
    async with AsyncExitStack() as stack:
        slow = [await stack.enter_async_context(await begun(target.port, target.post()[:-1])) for _ in range(200)]
        await target.assert_serving()
        answers = await asyncio.gather(*(connection.answer() for connection in slow))
    assert {answer.status for answer in answers} == {408}
    assert target.resident_kib() - before < 32 * 1024


async def test_who_does_not_read_is_cut_off(target: Target) -> None:
    """The answers of 100 long lists would fill any buffer; they are not made for somebody who does not take them."""
    for _ in range(100):
        assert (await exchange(target.port, target.post(target.body(metadata={"a": "x" * 500})))).status == 201
    before = target.resident_kib()
    lists = target.get(f"{target.collection}?limit=100") * 50
    async with AsyncExitStack() as stack:
        for _ in range(10):
            deaf = await stack.enter_async_context(await Connection.open(target.port, receive_buffer=4096))
            await deaf.send(lists)
        await target.assert_serving()

        async def are_cut_off() -> bool:
            return target.service.log_file.read_text().count('"the client does not read"') >= 10

        await until(are_cut_off, "all ten connections are aborted")
        assert target.resident_kib() - before < 32 * 1024
    await target.assert_serving()


async def test_who_is_cut_off_in_the_middle_of_a_request_has_placed_nothing(target: Target) -> None:
    before = await target.stored()
    for share in (0.3, 0.6, 0.9):
        sent = target.post()
        async with await begun(target.port, sent[: int(len(sent) * share)]) as connection:
            assert (await connection.answer()).status == 408
    assert await target.stored() == before
