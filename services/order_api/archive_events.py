"""Moves old events of the provider out of the way: each is copied to the archive, then deleted."""

from datetime import datetime, timedelta

import pymongo
from pymongo import DeleteOne
from pymongo.errors import BulkWriteError

from order_api.event import Outcome
from order_api.store import pages_of
from shared.documents.replies import refusals
from shared.mongo import Collection, Document

ARCHIVE = "payment_events_archive"
KEPT_AT_LEAST = timedelta(days=7)  # so long the provider may send an event again, or be asked for it
BATCH_SECONDS = 30.0  # nobody waits for an answer

# C19: an unmatched event is judged when it comes again, so it may go. Outcomes that are not listed may mean money.
_MOVED: frozenset[Outcome] = frozenset({"applied", "ignored", "duplicate", "unmatched"})


async def archive_events(events: Collection, archive: Collection, *, before: datetime) -> int:
    """Moves the events that were received before then and are final, or belong to no order. Returns how many. It may be
    broken off anywhere: an event is then in one place or in both, and the next run goes on. Raises PyMongoError.
    """
    moved = 0
    async for page in pages_of(events, {"outcome": 1, "received_at": 1}):
        if ids := [one["_id"] for one in page if one["outcome"] in _MOVED and one["received_at"] < before]:
            with pymongo.timeout(BATCH_SECONDS):
                moved += await _move(events, archive, ids)
    return moved


async def _move(events: Collection, archive: Collection, ids: list[str]) -> int:
    documents = await events.find({"_id": {"$in": ids}, "outcome": {"$in": [*_MOVED]}}).to_list()
    if not documents:
        return 0
    await _copy(archive, documents)
    # C3: an event that was counted once more meanwhile has another version, and stays for the next run.
    as_copied = [DeleteOne({"_id": one["_id"], "version": one["version"]}) for one in documents]
    return (await events.bulk_write(as_copied, ordered=False)).deleted_count


async def _copy(archive: Collection, documents: list[Document]) -> None:
    """Copies the documents, and returns when a majority has them. A copy that is there already stays as it is."""
    try:
        await archive.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        refused = refusals(error, documents)
        if refused is None or not all(one.duplicate for one in refused.values()):
            raise
