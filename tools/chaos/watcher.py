"""Every write to the services' documents, in the order of the cluster's time, by MongoDB's change stream."""

import asyncio
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from bson import Timestamp
from pymongo.errors import PyMongoError

from shared.mongo import Client, Document, connect
from tools.chaos.world import World

OURS = ("orders", "payment_events")  # collections of order_api
THEIRS = ("charges", "events", "deliveries", "webhook_endpoints")  # of the provider
MARKS = "chaos_marks"  # a collection of ours: once a mark has come, all earlier writes have come too
_RESUME_SECONDS = 0.5


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One write. `before` is None for an insert, `after` for a delete; both are the whole document. Both are unknown for a
    document that the watcher had never seen.
    """

    collection: str
    id: str
    at: datetime
    before: Document | None
    after: Document | None


class Watcher:
    """Sees what is written from the moment when it is made. `changes` has all of it, failovers or not."""

    def __init__(self, world: World) -> None:
        self._uri, self._databases = world.mongodb_uri, world.databases
        self.changes: list[Change] = []
        self._documents: dict[tuple[str, str], Document] = {}
        self._since: dict[str, Any] = {"start_at_operation_time": Timestamp(int(time.time()), 0)}
        self._marks_seen: set[str] = set()

    async def run(self) -> None:
        """Watches until cancelled."""
        ours, theirs = self._databases
        watched = [
            {"ns.db": ours, "ns.coll": {"$in": [*OURS, MARKS]}},
            {"ns.db": theirs, "ns.coll": {"$in": [*THEIRS]}},
        ]
        async with connect(self._uri, app_name="watcher") as client:
            while True:
                try:
                    # One stream of both databases, so that writes to one can be compared with writes to the other.
                    stream = await client.watch([{"$match": {"$or": watched}}], max_await_time_ms=1000, **self._since)
                    async with stream:
                        while stream.alive:
                            if (event := await stream.try_next()) is not None:
                                self._note(event)
                            if stream.resume_token is not None:
                                self._since = {"resume_after": stream.resume_token}
                except PyMongoError:
                    await asyncio.sleep(_RESUME_SECONDS)

    async def catch_up(self, client: Client, *, seconds: float = 30.0) -> None:
        """Returns once everything is seen that was written before the call. Raises TimeoutError, PyMongoError."""
        mark = str(time.time_ns())
        await client[self._databases[0]][MARKS].insert_one({"_id": mark})
        async with asyncio.timeout(seconds):
            while mark not in self._marks_seen:  # noqa: ASYNC110 - an Event for each mark would be more to read
                await asyncio.sleep(0.05)

    def _note(self, event: Mapping[str, Any]) -> None:
        collection, document_id = event["ns"]["coll"], event.get("documentKey", {}).get("_id")
        if document_id is None:  # a collection was made
            return
        if collection == MARKS:
            self._marks_seen.add(document_id)
            return
        before = self._documents.pop((collection, document_id), None)
        match event["operationType"]:
            case "insert" | "replace":
                after = event["fullDocument"]
            case "update" if before is not None:
                after = updated(before, event["updateDescription"])
            case _:  # a delete, or an update of a document whose rest nobody knows
                after = None
        if after is not None:
            self._documents[collection, document_id] = after
        self.changes.append(
            Change(collection=collection, id=document_id, at=event["wallTime"], before=before, after=after)
        )


def updated(document: Document, description: Mapping[str, Any]) -> Document:
    """A copy of `document` after an update as a change stream describes it: by paths such as `charges.0.state`."""
    changed: Document = _copied(document)
    for truncated in description.get("truncatedArrays") or ():
        parent, name = _parent(changed, truncated["field"])
        del parent[name][truncated["newSize"] :]
    for path in description.get("removedFields") or ():
        parent, name = _parent(changed, path)
        parent.pop(name, None)
    for path, value in (description.get("updatedFields") or {}).items():
        parent, name = _parent(changed, path)
        if isinstance(parent, list) and name == len(parent):
            parent.append(value)
        else:
            parent[name] = value
    return changed


def _parent(document: Any, path: str) -> tuple[Any, Any]:
    """The container of the last part of `path`, and that part as a key of it."""
    *above, last = path.split(".")
    for part in above:
        document = document[int(part) if isinstance(document, list) else part]
    return document, int(last) if isinstance(document, list) else last


def _copied(value: Any) -> Any:
    match value:
        case dict():
            return {name: _copied(member) for name, member in value.items()}
        case list():
            return [_copied(member) for member in value]
    return value
