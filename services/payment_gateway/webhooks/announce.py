"""Announcing what has happened: for each mark of a document its event, then the deliveries, then the mark off, each
acknowledged before the next. C23

Any step may be done twice, late, or by a process that dies after it: ids follow from what they are about, so all of it is
there once, and a mark goes last. What is announced is what a majority has: marks as they were read.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import UNSET
from pymongo.errors import BulkWriteError, PyMongoError

from payment_gateway.clock.stored_clock import StoredClock
from payment_gateway.store import Store, read
from payment_gateway.webhooks.delivery import Delivery, new_deliveries
from payment_gateway.webhooks.endpoint import Endpoint
from payment_gateway.webhooks.event import Event, Mark, Told, event_of
from payment_gateway.webhooks.passed_over import PassedOver
from shared.batches import OverloadedError, UnavailableError
from shared.documents import Documents, InvalidError, Verdict
from shared.documents.replies import refusals
from shared.leases import LeasedWork
from shared.mongo import Collection as MongoCollection
from shared.mongo import Document, describe, to_document
from shared.telemetry import log

DELIVERIES_MAX = 1000  # in one insert
LEFT_OVER_MAX = 100  # endpoints at once
LEFT_OVER_POLL_SECONDS = 2.0  # seldom, and never in a hurry

T = TypeVar("T", bound=msgspec.Struct)


@dataclass(frozen=True)
class Announce(Generic[T]):
    """Announces the marks of documents of one kind. `told` says what of, and `without` is the document when the marks of
    these ids have been announced. `wake` hints at new deliveries.
    """

    store: Store
    documents: Documents[T, Any]
    kind: type[T]
    clock: StoredClock
    told: Callable[[T], Told]
    without: Callable[[T, Collection[str]], T]
    wake: Callable[[], None]

    async def __call__(self, found: Sequence[Document]) -> set[str]:
        """Announces all marks of the documents, which were just read, with the server's time of that in `read_at`. Returns
        the ids of those that cannot be announced; they spoil no other. Raises PyMongoError, UnavailableError and
        OverloadedError; then some may be announced.
        """
        if not found:
            return set()
        try:
            await self._announce(found)
        except (PyMongoError, UnavailableError, OverloadedError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever one document brings about is its own
            if len(found) == 1:
                log.error("cannot be announced", id=found[0]["_id"], reason=describe(error))
                return {found[0]["_id"]}
            return set().union(*[await self([one]) for one in found])
        return set()

    async def _announce(self, found: Sequence[Document]) -> None:
        now = await self.clock.now()
        events: dict[str, list[Event]] = {}
        deliveries: dict[str, list[Delivery]] = {}
        for document in found:
            thing = msgspec.convert(document, self.kind)
            document_id = document["_id"]
            events[document_id], deliveries[document_id] = self._made(thing, now=now, read_at=document["read_at"])
        await insert_all(self.store.events, [to_document(one) for made in events.values() for one in made])
        # Those that are held come first: whoever releases them is not tried before they are there.
        queue = sorted((one for made in deliveries.values() for one in made), key=lambda one: one.hold is UNSET)
        for begin in range(0, len(queue), DELIVERIES_MAX):
            await insert_all(self.store.deliveries, [to_document(one) for one in queue[begin : begin + DELIVERIES_MAX]])
        if queue:
            self.wake()
        there = await asyncio.gather(*(self._take_off(document, events[document["_id"]]) for document in found))
        gone = [document["_id"] for document, is_there in zip(found, there, strict=True) if not is_there]
        if gone:
            # What a reset took while it was announced has not happened.
            await _delete(self.store.deliveries, [one.id for each in gone for one in deliveries[each]])
            await _delete(self.store.events, [one.id for each in gone for one in events[each]])

    def _made(self, thing: T, *, now: datetime, read_at: datetime) -> tuple[list[Event], list[Delivery]]:
        told = self.told(thing)
        marks: tuple[Mark, ...] = thing.announce  # type: ignore[attr-defined]  # of every kind
        events = [event_of(mark, told, now=now) for mark in marks]
        deliveries = [
            one
            for mark in marks
            for one in new_deliveries(mark, told.scenario_of(mark.object), told.merchant, now=now, queued_at=read_at)
        ]
        return events, deliveries

    async def _take_off(self, document: Document, events: Sequence[Event]) -> bool:
        """Whether the document is still there: somebody else may have announced the same."""
        ids = {event.id for event in events}

        def off(thing: T | None, _now: datetime | None) -> Verdict[T, bool]:
            if thing is None:
                return Verdict(answer=False)  # confirmed: what is taken back was durable
            after = self.without(thing, ids)
            return Verdict(answer=True, after=after if after != thing else None, found=True)

        return await self.documents.change(document["_id"], off, read=document, patient=True)


async def insert_all(collection: MongoCollection, documents: Sequence[Document]) -> None:
    """Returns once a majority has all of them. One that is there already counts only if the reply has no write concern
    error: with one, a failover might still take it away. Raises PyMongoError, InvalidError, and what encoding raises.
    """
    if not documents:
        return
    try:
        await collection.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        refused = refusals(error, len(documents))
        if refused is None:
            raise
        if bad := [one for one in refused.values() if not one.duplicate]:
            raise InvalidError(f"{collection.name}: {bad[0].reason}") from None


async def _delete(collection: MongoCollection, ids: Sequence[str]) -> None:
    await collection.delete_many({"_id": {"$in": ids}})


class AnnounceLeftOver:
    """Announces what has happened to endpoints, where whoever disabled one did not live to do so. C23"""

    def __init__(self, store: Store, clock: StoredClock, announce: Announce[Endpoint]) -> None:
        self._store = store
        self._clock = clock
        self._announce = announce
        self._passed_over = PassedOver()
        self.work = LeasedWork[Sequence[Document]](
            self._claim, self._do, name="announce_endpoints", slots=1, poll_seconds=LEFT_OVER_POLL_SECONDS
        )

    async def run_once(self) -> int:
        """Of how many endpoints something was announced. Raises PyMongoError."""
        found = await self._due()
        await self._do(found)
        return len(found)

    async def _claim(self, _limit: int) -> Sequence[Sequence[Document]]:
        return [found] if (found := await self._due()) else []

    async def _due(self) -> Sequence[Document]:
        is_due = {"$lte": await self._clock.now(), "$type": "date"}
        conditions = {"_id": {"$nin": self._passed_over.ids()}, "due_at": is_due}
        return await read(self._store.webhook_endpoints, {"$match": conditions}, {"$limit": LEFT_OVER_MAX})

    async def _do(self, found: Sequence[Document]) -> None:
        for endpoint_id in await self._announce(found):
            self._passed_over.add(endpoint_id)
