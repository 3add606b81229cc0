"""A page is bounded in documents and in bytes, and few are read at once."""

import asyncio
from typing import Any

import pytest
from pymongo.asynchronous.collection import AsyncCollection

from shared.batches import UnavailableError
from shared.mongo import Client
from shared.page_reader import PAGE_BYTES_MAX, READ_AT_ONCE, PageReader
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
    mongo: Client, database_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others wait, and take nothing in."""
    things, read = mongo[database_name]["things"], PageReader()
    aggregate, at_once, counted = AsyncCollection.aggregate, 0, asyncio.Event()

    async def held(*of: Any, **how: Any) -> Any:
        nonlocal at_once
        at_once += 1
        await counted.wait()
        return await aggregate(*of, **how)

    async def is_full() -> bool:
        return at_once >= READ_AT_ONCE

    monkeypatch.setattr(AsyncCollection, "aggregate", held)
    reading = [asyncio.create_task(read(things, NEWEST_FIRST, 3)) for _ in range(READ_AT_ONCE * 3)]
    await until(is_full, "as many are read as may be")
    for _ in range(20):
        await asyncio.sleep(0)
        assert at_once <= READ_AT_ONCE
    counted.set()
    outcomes = await asyncio.gather(*reading, return_exceptions=True)
    assert all(outcome == ([], False) or isinstance(outcome, UnavailableError) for outcome in outcomes)
