"""A page is bounded in documents and in bytes, and few are read at once."""

import asyncio

import pytest

from shared.batches import UnavailableError
from shared.mongo import Client, connect
from shared.page_reader import PAGE_BYTES_MAX, READ_AT_ONCE, PageReader
from tests.integration.conftest import FailCommand
from tests.waiting import until

NEWEST_FIRST = [{"$sort": {"_id": -1}}]


@pytest.mark.parametrize(
    ("stored", "bytes_each", "limit", "read", "more"),
    [
        (0, 1, 3, 0, False),
        (3, 1, 3, 3, False),
        (4, 1, 3, 3, True),
        (4, PAGE_BYTES_MAX // 3, 9, 2, True),
        (3, 2 * PAGE_BYTES_MAX, 9, 1, True),
        (1, 2 * PAGE_BYTES_MAX, 9, 1, False),
    ],
)
async def test_a_page_has_so_many_documents_and_bytes_and_says_whether_there_are_more(
    mongo: Client, database_name: str, stored: int, bytes_each: int, limit: int, read: int, more: bool
) -> None:
    things = mongo[database_name]["things"]
    for number in range(stored):
        await things.insert_one({"_id": number, "text": "x" * bytes_each})
    documents, has_more = await PageReader()(things, NEWEST_FIRST, limit)
    assert [one["_id"] for one in documents] == list(range(stored))[::-1][:read]
    assert has_more is more


async def test_no_more_pages_are_read_at_once_than_there_are_places(
    mongo: Client, mongodb_uri: str, database_name: str, fail_command: FailCommand
) -> None:
    """The others wait, and take nothing in."""
    await fail_command("pages", ["aggregate"], times="always", blockConnection=True, blockTimeMS=3_000)
    async with connect(mongodb_uri, app_name="pages") as client:
        things, read = client[database_name]["things"], PageReader()
        reading = [asyncio.create_task(read(things, NEWEST_FIRST, 3)) for _ in range(READ_AT_ONCE * 3)]

        async def at_once() -> int:
            reply = await mongo.admin.command({"currentOp": 1, "appName": "pages", "command.aggregate": "things"})
            return len(reply["inprog"])

        most = 0

        async def is_full() -> bool:
            nonlocal most
            most = max(most, await at_once())
            return most >= READ_AT_ONCE

        await until(is_full, "as many are read as may be")
        for _ in range(20):
            assert await at_once() <= READ_AT_ONCE
        await fail_command("pages", ["aggregate"], times=0)
        outcomes = await asyncio.gather(*reading, return_exceptions=True)
    assert all(outcome == ([], False) or isinstance(outcome, UnavailableError) for outcome in outcomes)
