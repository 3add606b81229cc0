"""Clients that ask and do not read: they hold no place that others need, and their answers do not fill the memory."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from shared.edge.limits import UNREAD_BYTES_MAX
from shared.mongo import Client
from shared.page_reader import PAGE_BYTES_MAX, READ_AT_ONCE
from tests.e2e.hostile.conftest import own_targets
from tests.e2e.hostile.raw import Connection, exchange
from tests.e2e.hostile.target import Target
from tests.waiting import until

REQUESTS_MAX = 20
KIB = 1024
PAGES_KIB_MAX = 64 * KIB  # of those that are being read: 8 that have 100 things of 50 KB, and some air
METADATA = {f"k{n}": "\u00e9" * 500 for n in range(50)}


@pytest.fixture(scope="module")
async def targets(
    mongo: Client, mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Target, Target]]:
    # Nobody is cut off for taking nothing: that is what test_slowness.py is about.
    limits = {"HTTP_REQUESTS_MAX": str(REQUESTS_MAX), "HTTP_WRITE_SECONDS": "3600"}
    async with own_targets(mongo, mongodb_uri, tmp_path_factory.mktemp("deaf"), **limits) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def unharmed() -> None:
    """Here the processes grow, up to a bound that is looked at."""


async def deaf(target: Target, stack: AsyncExitStack, sent: bytes) -> None:
    connection = await stack.enter_async_context(await Connection.open(target.port, receive_buffer=4096))
    await connection.send(sent)


async def test_clients_that_do_not_read_hold_nobody_s_place(target: Target) -> None:
    """25 of them, without a key, where 20 requests are taken at once."""
    sent = target.get("/schema/openapi.json", {"Authorization": []}) * 3 + target.get("/problems/not-found")
    async with AsyncExitStack() as stack:
        for _ in range(REQUESTS_MAX + 5):
            await deaf(target, stack, sent)

        async def wait_to_be_read() -> bool:
            return await metric(target, "http_unread_bytes") > 1_000

        await until(wait_to_be_read, "answers wait for them")
        for _ in range(REQUESTS_MAX):
            await target.assert_serving()

        async def nobody_is_at_work() -> bool:
            return await metric(target, "http_requests_at_work") == 0

        await until(nobody_is_at_work, "every place is given back")


async def test_unread_lists_are_bounded_in_bytes(target: Target) -> None:
    """200 pages of 100 things of 50 KB came to a gigabyte; now a page ends at 1 MiB, and all that is unread at 128."""
    for _ in range(100):
        await large(target)
    ask = target.get(f"{target.collection}?limit=100")
    answer = await exchange(target.port, ask)
    assert len(answer.json["data"]) == pytest.approx(PAGE_BYTES_MAX / 50_000, abs=2)
    assert answer.json["nextCursor"] is not None

    asked = 0

    async def answers_wait() -> bool:
        return await metric(target, "http_unread_bytes") > 0.9 * min(asked * len(answer.body), UNREAD_BYTES_MAX)

    async def all_are_served_or_cut_off() -> bool:
        unread, at_work = [await metric(target, name) for name in ("http_unread_bytes", "http_requests_at_work")]
        return unread <= UNREAD_BYTES_MAX and at_work == 0

    before = target.resident_kib()
    async with AsyncExitStack() as stack:
        while await metric(target, "http_connections_cut_off_total") == 0:
            assert asked < 200
            for _ in range(READ_AT_ONCE):  # not all at once: those that wait too long for a place would get a 503
                await deaf(target, stack, ask)
            asked += READ_AT_ONCE
            await until(answers_wait, "each has its page")
        assert asked * len(answer.body) > UNREAD_BYTES_MAX
        await until(all_are_served_or_cut_off, "all pages are made, and what is unread is within its bound")
        assert await metric(target, "http_unread_bytes_max") == UNREAD_BYTES_MAX
        await target.assert_serving()
        grown = target.resident_kib(most=True) - before
    assert grown < UNREAD_BYTES_MAX // KIB + PAGES_KIB_MAX
    await target.assert_serving()


async def test_all_of_a_list_is_read_page_by_page_however_large_its_things_are(target: Target) -> None:
    made = [await large(target) for _ in range(45)]
    listed: list[str] = []
    to = f"{target.collection}?limit=100"
    while len(listed) < len(made):
        page = (await exchange(target.port, target.get(to))).json
        listed += [one["id"] for one in page["data"]]
        to = f"{target.collection}?limit=100&cursor={page['nextCursor']}"
    assert listed[: len(made)] == list(reversed(made))


async def large(target: Target) -> str:
    """The id of one more thing of some 50 KB."""
    body = json.dumps(json.loads(target.body(metadata=METADATA)), ensure_ascii=False).encode()
    answer = await exchange(target.port, target.post(body))
    assert answer.status == 201, answer
    return str(answer.json["id"])


async def metric(target: Target, name: str) -> float:
    text = (await exchange(target.port, target.get("/metrics"))).body.decode()
    found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
    assert found, name
    return float(found[1])
