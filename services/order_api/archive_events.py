"""Old events of the provider go out of the way: each is copied to the archive, and then taken away."""

from datetime import datetime, timedelta

import pymongo
from pymongo import DeleteOne
from pymongo.errors import BulkWriteError

from order_api.event import Outcome
from shared.mongo import Collection, Document

ARCHIVE = "payment_events_archive"
KEPT_AT_LEAST = timedelta(days=7)  # for so long the provider may send an event again, or be asked for it
AT_ONCE = 100
READ_AT_ONCE = 1000  # of all events: there is no index on `received_at`
BATCH_SECONDS = 30.0  # nobody waits for an answer

_MOVED: frozenset[Outcome] = frozenset({"applied", "ignored", "duplicate"})  # the others may be judged again. C19
_DUPLICATE = 11000


async def archive_events(events: Collection, archive: Collection, *, before: datetime) -> int:
    """Moves the events that were received before then and whose outcome is final; returns how many. It may be broken off
    anywhere: an event is then in its place, or in both, and the next run goes on. Raises PyMongoError.
    """
    moved, last = 0, ""
    while True:
        page = events.find({"_id": {"$gt": last}}, {"outcome": 1, "received_at": 1}).sort("_id", 1).limit(READ_AT_ONCE)
        found = await page.to_list()
        if not found:
            return moved
        last = found[-1]["_id"]
        ids = [one["_id"] for one in found if one["outcome"] in _MOVED and one["received_at"] < before]
        for start in range(0, len(ids), AT_ONCE):
            with pymongo.timeout(BATCH_SECONDS):
                moved += await _move(events, archive, ids[start : start + AT_ONCE])


async def _move(events: Collection, archive: Collection, ids: list[str]) -> int:
    documents = await events.find({"_id": {"$in": ids}, "outcome": {"$in": [*_MOVED]}}).to_list()
    if not documents:
        return 0
    await _copy(archive, documents)
    # One that was counted once more meanwhile has another version, and stays for the next run. C3
    as_copied = [DeleteOne({"_id": one["_id"], "version": one["version"]}) for one in documents]
    return (await events.bulk_write(as_copied, ordered=False)).deleted_count


async def _copy(archive: Collection, documents: list[Document]) -> None:
    """Returns when a majority has a copy of each. One that is there already is kept as it is."""
    try:
        await archive.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        there_already = all(one["code"] == _DUPLICATE for one in error.details["writeErrors"])
        if error.details["writeConcernErrors"] or not there_already:
            raise
