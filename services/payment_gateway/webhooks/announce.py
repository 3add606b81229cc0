"""Announcing what has happened: for each mark of a document its event, then the deliveries, then the mark off, each
acknowledged before the next. C23

Any step may be done twice, late, or by a process that dies after it: ids follow from what they are about, so all of it is
there once, and a mark goes last. What is announced is what a majority has: marks as they were read.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
from pymongo.errors import BulkWriteError, PyMongoError

from payment_gateway.clock.stored_clock import StoredClock
from payment_gateway.faults.scenario import Scenario
from payment_gateway.store import Store
from payment_gateway.webhooks.delivery import Delivery, as_stored, new_deliveries
from payment_gateway.webhooks.event import Event, event_of
from payment_gateway.webhooks.mark import Mark
from shared.batches import OverloadedError, UnavailableError
from shared.documents import Documents, InvalidError, Verdict
from shared.documents.replies import refusals
from shared.mongo import Collection as MongoCollection
from shared.mongo import Document, describe, to_document
from shared.telemetry import log

DELIVERIES_MAX = 1000  # in one insert


T = TypeVar("T", bound=msgspec.Struct)


class Told(NamedTuple):
    """What an announcement says of the document whose marks it announces; `scenario_of` an object's id says how."""

    merchant: str
    reference: str
    charge_id: str | None
    scenario_of: Callable[[str], Scenario]


class Announce(Generic[T]):
    """Announces the marks of documents of one kind. `told` says what of, and `without` is the document when the marks of
    these ids have been announced. `wake` hints at new deliveries.
    """

    def __init__(
        self,
        store: Store,
        documents: Documents[T, Any],
        kind: type[T],
        clock: StoredClock,
        *,
        told: Callable[[T], Told],
        without: Callable[[T, Collection[str]], T],
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self._documents = documents
        self._kind = kind
        self._clock = clock
        self._told = told
        self._without = without
        self._wake = wake

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
        now = await self._clock.now()
        events: dict[str, list[Event]] = {}
        deliveries: dict[str, list[Delivery]] = {}
        for document in found:
            thing = msgspec.convert(document, self._kind)
            document_id = document["_id"]
            events[document_id], deliveries[document_id] = self._made(thing, now=now, read_at=document["read_at"])
        await _insert(self._store.events, [to_document(one) for made in events.values() for one in made])
        # Those that are held come first: whoever releases them is not tried before they are there.
        queue = sorted((one for made in deliveries.values() for one in made), key=lambda one: one.hold is None)
        for begin in range(0, len(queue), DELIVERIES_MAX):
            await _insert(self._store.deliveries, [as_stored(one) for one in queue[begin : begin + DELIVERIES_MAX]])
        if queue:
            self._wake()
        there = await asyncio.gather(*(self._take_off(document, events[document["_id"]]) for document in found))
        gone = [document["_id"] for document, is_there in zip(found, there, strict=True) if not is_there]
        if gone:
            await self._take_back(
                [one.id for each in gone for one in events[each]], [one.id for each in gone for one in deliveries[each]]
            )

    def _made(self, thing: T, *, now: datetime, read_at: datetime) -> tuple[list[Event], list[Delivery]]:
        told = self._told(thing)
        marks: tuple[Mark, ...] = thing.announce  # type: ignore[attr-defined]  # of every kind
        events = [
            event_of(mark, merchant=told.merchant, reference=told.reference, charge_id=told.charge_id, now=now)
            for mark in marks
        ]
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
            after = self._without(thing, ids)
            return Verdict(answer=True, after=after if after != thing else None, found=True)

        return await self._documents.change(document["_id"], off, read=document)

    async def _take_back(self, events: Sequence[str], deliveries: Sequence[str]) -> None:
        """What a reset took while it was announced has not happened."""
        await self._store.deliveries.delete_many({"_id": {"$in": list(deliveries)}})
        await self._store.events.delete_many({"_id": {"$in": list(events)}})


async def _insert(collection: MongoCollection, documents: Sequence[Document]) -> None:
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
