"""Announces what has happened. For each mark of a document it stores the event, then the deliveries, then takes the mark
off; each step is acknowledged before the next. C23: an event is announced once.

Any step may come twice, or late, or be the last of a process that dies. Ids follow from the objects that they are about, so
everything is stored once, and the mark goes last. The marks are those that a majority has.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import msgspec
from bson import ObjectId
from pymongo.errors import BulkWriteError, PyMongoError

from payment_gateway.clock.stored_clock import StoredClock
from payment_gateway.faults.scenario import Scenario
from payment_gateway.store import Store, read
from payment_gateway.webhooks.delivery import Delivery, is_held, new_deliveries
from payment_gateway.webhooks.endpoint import Endpoint
from payment_gateway.webhooks.event import Mark, Told, event_of
from payment_gateway.webhooks.passed_over import PassedOver
from shared.batches import OverloadedError, UnavailableError
from shared.documents import Documents, InvalidError, Verdict
from shared.documents.replies import refusals
from shared.leases import LeasedWork
from shared.mongo import COUNTED, Document, describe, to_document
from shared.mongo import Collection as MongoCollection
from shared.telemetry import log

DELIVERIES_MAX = 1000  # in one insert
EVENTS_MAX = 100  # in one insert: each may have 30 KB of a merchant's metadata
LEFT_OVER_MAX = 100  # endpoints at once
LEFT_OVER_POLL_SECONDS = 2.0  # this is seldom needed, and never urgent

T = TypeVar("T", bound=msgspec.Struct)


class NewClaim(NamedTuple):
    """A delivery that is claimed before it is stored. When it is, `begin` sends it; otherwise `give_back` frees its slot."""

    document: Document
    begin: Callable[[], None]
    give_back: Callable[[], None]


class ClaimNew(Protocol):
    def __call__(
        self, delivery: Delivery, endpoint: Endpoint, event: Document, *, read_at: datetime, asked_at: float
    ) -> NewClaim | None: ...


@dataclass(frozen=True)
class Announce(Generic[T]):
    """Announces the marks of documents of one kind. `told` says what they are about. `without` returns the document without
    the marks of these ids. `claim_new` claims a delivery that is about to be stored; `wake` is called if some
    were stored unclaimed.
    """

    store: Store
    documents: Documents[T, Any]
    kind: type[T]
    clock: StoredClock
    told: Callable[[T], Told]
    without: Callable[[T, Collection[str]], T]
    wake: Callable[[], None]
    claim_new: ClaimNew = lambda *_args, **_named: None

    async def __call__(
        self, found: Sequence[Document], endpoints: Sequence[Endpoint] = (), asked_at: float = 0.0
    ) -> set[str]:
        """Announces all marks of the documents, which were just read or written, with the server's time in `read_at`. What
        goes to `endpoints` may be sent as soon as it is stored. They were asked for at `asked_at` of our monotonic clock,
        and `read_at` is not earlier. Returns the ids of documents that cannot be announced; they spoil no other. After
        PyMongoError, UnavailableError or OverloadedError, some may be announced.
        """
        if not found:
            return set()
        try:
            await self._announce(found, {one.id: one for one in endpoints}, asked_at)
        except (PyMongoError, UnavailableError, OverloadedError):
            raise
        except Exception as error:  # noqa: BLE001 - the error of one document must not stop the others
            if len(found) == 1:
                log.error("cannot be announced", id=found[0]["_id"], reason=describe(error))
                return {found[0]["_id"]}
            return set().union(*[await self([one], endpoints, asked_at) for one in found])
        return set()

    async def _announce(self, found: Sequence[Document], endpoints: Mapping[str, Endpoint], asked_at: float) -> None:
        now = await self.clock.now()
        marks_of = {document["_id"]: self._marks(document) for document in found}
        marked = [one for marks in marks_of.values() for one in marks]
        events = (to_document(event_of(one.mark, one.told, now=now)) for one in marked)
        await insert_all(self.store.events, events, at_once=EVENTS_MAX)
        await self._store_deliveries(marked, endpoints, asked_at, now)
        there = await asyncio.gather(*(self._take_off(document, marks_of[document["_id"]]) for document in found))
        for document, is_there in zip(found, there, strict=True):
            if not is_there:
                await self._take_back(marks_of[document["_id"]])

    async def _store_deliveries(
        self, marked: Iterable["_Marked"], endpoints: Mapping[str, Endpoint], asked_at: float, now: datetime
    ) -> None:
        made: dict[str, NewClaim | None] = {}

        def documents() -> Iterator[Document]:
            # Held deliveries come first: the ones that they wait for must not be tried before they are stored.
            for one in sorted(marked, key=lambda one: not is_held(one.mark, one.scenario)):
                for delivery in new_deliveries(
                    one.mark, one.scenario, one.told.merchant, now=now, queued_at=one.read_at
                ):
                    claim = self._claim(delivery, one, endpoints.get(delivery.endpoint_id), asked_at, now)
                    made[delivery.id] = claim
                    # With the mark by which a watching page sees that it is new.
                    yield {**(claim.document if claim else to_document(delivery)), "writer": ObjectId()}

        there: set[str] | None = None
        try:
            there = await insert_all(self.store.deliveries, documents())
        finally:
            claims = {delivery_id: claim for delivery_id, claim in made.items() if claim is not None}
            for delivery_id, claim in claims.items():
                is_ours = there is not None and delivery_id not in there  # another process sends what it stored first
                (claim.begin if is_ours else claim.give_back)()
            if claims and there is None:
                await self._release(claims)
        if None in made.values():
            self.wake()

    async def _release(self, claims: Mapping[str, NewClaim]) -> None:
        """Ends the claims of deliveries which may be stored although their insert has failed. What remains lapses."""
        ours = {"_id": {"$in": [*claims]}, "claim": {"$in": [claim.document["claim"] for claim in claims.values()]}}
        with suppress(PyMongoError):
            free = {"lease_until": None, "claim": None, **COUNTED}
            await self.store.deliveries.update_many(ours, [{"$set": free}])

    def _claim(
        self, delivery: Delivery, one: "_Marked", endpoint: Endpoint | None, asked_at: float, now: datetime
    ) -> NewClaim | None:
        if endpoint is None:
            return None
        event = to_document(event_of(one.mark, one.told, now=now))
        return self.claim_new(delivery, endpoint, event, read_at=one.read_at, asked_at=asked_at)

    def _marks(self, document: Document) -> list["_Marked"]:
        thing = msgspec.convert(document, self.kind)
        told = self.told(thing)
        marks: tuple[Mark, ...] = thing.announce  # type: ignore[attr-defined]  # every kind has it
        return [_Marked(mark, told, told.scenario_of(mark.object), document["read_at"]) for mark in marks]

    async def _take_off(self, document: Document, marked: Sequence["_Marked"]) -> bool:
        """Whether the document is still there. Another process may have announced the same."""
        ids = {one.mark.id for one in marked}

        def off(thing: T | None, _now: datetime | None) -> Verdict[T, bool]:
            if thing is None:
                return Verdict(answer=False)  # this rests on an absence, so it is given only after a second read
            after = self.without(thing, ids)
            return Verdict(answer=True, after=after if after != thing else None, found=True)

        return await self.documents.change(document["_id"], off, read=document)

    async def _take_back(self, marked: Sequence["_Marked"]) -> None:
        """Deletes what was announced of a document that a reset took meanwhile: it has not happened."""
        ids = [one.mark.id for one in marked]
        for merchant in {one.told.merchant for one in marked}:
            await self.store.deliveries.delete_many({"merchant": merchant, "event_id": {"$in": ids}})
        await self.store.events.delete_many({"_id": {"$in": ids}})


class _Marked(NamedTuple):
    """A mark, the facts and the scenario that go with it, and the server's time when it was read."""

    mark: Mark
    told: Told
    scenario: Scenario
    read_at: datetime


async def insert_all(
    collection: MongoCollection, documents: Iterable[Document], *, at_once: int | None = None
) -> set[str]:
    """Returns once a majority has all of them, with the ids of those that were there before. It inserts slices of `at_once`,
    by default DELIVERIES_MAX, and encodes each slice after the one before is stored, so that other tasks run in between.

    A document that is already there counts as stored only if the reply has no write concern error; otherwise a failover
    might still take it away. Raises PyMongoError, InvalidError and errors of encoding; then some may be stored.
    """
    left, there = iter(documents), set[str]()
    while made := list(islice(left, at_once or DELIVERIES_MAX)):
        try:
            await collection.insert_many(made, ordered=False)
        except BulkWriteError as error:
            refused = refusals(error, made)
            if refused is None:
                raise
            if bad := [one for one in refused.values() if not one.duplicate]:
                raise InvalidError(f"{collection.name}: {bad[0].reason}") from None
            there |= {made[number]["_id"] for number in refused}
    return there


class AnnounceLeftOver:
    """Announces events of endpoints whose process died before it did so. C23: an event is announced once."""

    def __init__(self, store: Store, clock: StoredClock, announce: Announce[Endpoint]) -> None:
        self._store = store
        self._clock = clock
        self._announce = announce
        self._passed_over = PassedOver()
        self.work = LeasedWork[Sequence[Document]](
            self._claim, self._do, name="announce_endpoints", slots=1, poll_seconds=LEFT_OVER_POLL_SECONDS
        )

    async def run_once(self) -> int:
        """Returns for how many endpoints it announced something. Raises PyMongoError."""
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
