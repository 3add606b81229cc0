"""Work that any number of replicas may share: claimed under a lease, judged by the server's clock, fenced.

A claim sets `lease_until` and raises `fence` in the document. Whoever finishes the work writes only if the fence is still
the one it claimed, so a process that slept past its lease changes nothing. C11, C23
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import pymongo
from bson import ObjectId
from pymongo import UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import PyMongoError, WriteError, WTimeoutError

from shared.group_commit import StaleError
from shared.metrics import LeasedWorkMetrics
from shared.mongo import Collection, Document, count_error, describe
from shared.telemetry import log

Work = TypeVar("Work")

CLAIM_SECONDS = 5.0
_CONTENDED_SECONDS = 0.5  # a dead process's transaction keeps its locks for seconds
_STOP_SECONDS = 6.0  # a call of the provider in hand ends within this
_RELEASE_SECONDS = 3.0
_CLAIM_INTERVAL_SECONDS = (
    0.02  # a claim costs as much for one piece as for fifty; work that trickles in is claimed together
)

_LEASE_IS_FREE = {"$lte": [{"$ifNull": ["$lease_until", 0]}, "$$NOW"]}


def in_seconds(seconds: float) -> Document:
    """The server's time `seconds` from now, in an aggregation expression."""
    return {"$add": ["$$NOW", round(seconds * 1000)]}


@dataclass(frozen=True)
class Lease:
    """How long claimed work is ours, by our own monotonic clock, counted from before the claim was asked for."""

    expires_at: float

    def covers(self, seconds: float) -> bool:
        """Whether the rest of the lease is long enough for work that takes up to `seconds`."""
        return time.monotonic() + seconds <= self.expires_at


async def claim(
    collection: Collection,
    *,
    due: Mapping[str, Any],
    due_at: str,
    limit: int,
    lease_seconds: float,
    now: datetime | None = None,
    also_set: Mapping[str, Any] | None = None,
    choose: Callable[[Document], Awaitable[Sequence[str]]] | None = None,
) -> tuple[Lease, Sequence[Document]]:
    """Leases up to `limit` documents that match `due` and whose time in the field `due_at` has come, the earliest first,
    and returns them as they are after the claim, which a majority has then acknowledged.

    Leases are judged by the server's clock; so is `due_at`, unless `now` gives another. `also_set` is set by the same
    write, as in an aggregation `$set`. Not the earliest but others are taken if `choose` finds their ids, at most `limit`
    of those that match what it is given. Raises PyMongoError; a claim whose reply was lost lapses with its lease.
    """
    lease = Lease(time.monotonic() + lease_seconds)
    if limit < 1:
        return lease, []
    ours = ObjectId()
    due_now = {"$lte": [f"${due_at}", now or "$$NOW"]}
    free = {**due, "$expr": {"$and": [due_now, _LEASE_IS_FREE]}}
    take = {"lease_until": in_seconds(lease_seconds), "fence": {"$add": ["$fence", 1]}, "claim": ours}
    with pymongo.timeout(CLAIM_SECONDS):
        if choose:
            ids = await choose(free)
        else:
            earliest = collection.find(free, {"_id": 1}).sort(due_at).limit(limit)
            ids = [candidate["_id"] async for candidate in earliest]
        if not ids:
            return lease, []
        await _take(collection, ids, free, [{"$set": {**take, **(also_set or {})}}])
        return lease, await collection.find({"_id": {"$in": ids}, "claim": ours}).sort(due_at).to_list()


async def _take(collection: Collection, ids: Sequence[str], free: Document, update: list[Document]) -> None:
    """Updates those of `ids` that are still free. One that somebody's open transaction holds, or that a validator refuses
    as it is, is left where it is; the others do not suffer for it.
    """
    try:
        with pymongo.timeout(_CONTENDED_SECONDS):
            await collection.update_many({"_id": {"$in": ids}, **free}, update)
    except PyMongoError as error:
        if not (error.timeout or isinstance(error, WriteError)):
            raise
        await asyncio.gather(*(take_one(collection, one, free, update) for one in ids))


async def take_one(collection: Collection, document_id: str, free: Document, update: list[Document]) -> bool:
    """Updates the document if it is `free`; whether that was done, though perhaps a majority does not have it yet. One that
    somebody's open transaction holds, or that a validator refuses, is left where it is. Raises other PyMongoErrors.
    """
    try:
        with pymongo.timeout(_CONTENDED_SECONDS):
            taken = await collection.update_one({"_id": document_id, **free}, update)
    except WTimeoutError:
        return True
    except PyMongoError as error:
        if not (error.timeout or isinstance(error, WriteError)):
            raise
        count_error(error)
        log.warning("not claimed", collection=collection.name, id=document_id, reason=describe(error))
        return False
    return taken.modified_count > 0


async def held(collection: Collection, fences: Mapping[str, int], session: AsyncClientSession) -> set[str]:
    """Of the claimed documents, by id and fence, those whose claim still stands, as the transaction sees them."""
    found = collection.find({"_id": {"$in": list(fences)}}, {"fence": 1}, session=session)
    return {document["_id"] async for document in found if document["fence"] == fences[document["_id"]]}


async def write_held(collection: Collection, writes: Sequence[UpdateOne], session: AsyncClientSession) -> None:
    """Writes to documents that are `held`. Raises StaleError if any of them no longer is. C3"""
    result = await collection.bulk_write(writes, ordered=False, session=session)
    if result.matched_count != len(writes):
        raise StaleError


async def release(collection: Collection, document: Document, also_set: Mapping[str, Any] | None = None) -> None:
    """Ends the claim under which `document` was returned, so that nobody waits for its lease. Raises PyMongoError."""
    await collection.update_one(
        {"_id": document["_id"], "fence": document["fence"], "lease_until": {"$ne": None}},
        {"$set": {"lease_until": None, **(also_set or {})}},
    )


async def _keep(_piece: Any) -> None:
    """There is no lease to release, or it is not worth a write."""


class LeasedWork(Generic[Work]):
    """Claims work into free slots and does it concurrently; a slow piece holds up its own slot only.

    `claim(limit)` returns at most `limit` pieces; `attempt(piece)` does one and handles its own failures; `release(piece)`
    gives one back that was cancelled. `wake` is a hint that there may be work; polling every `poll_seconds` is enough
    without it. After a claim that brought work, `interval_seconds` pass before the next. One that came back full, or that
    says by `more` that it has left work behind, is followed by another as soon as a slot is free.
    """

    def __init__(
        self,
        claim: Callable[[int], Awaitable[Sequence[Work]]],
        attempt: Callable[[Work], Awaitable[None]],
        *,
        name: str,
        slots: int,
        poll_seconds: float = 0.5,
        interval_seconds: float = _CLAIM_INTERVAL_SECONDS,
        release: Callable[[Work], Awaitable[None]] = _keep,
    ) -> None:
        self._claim = claim
        self._attempt = attempt
        self._release = release
        self._name = name
        self._free = slots
        self._poll_seconds = poll_seconds
        self._interval_seconds = interval_seconds
        self._stopping = False
        self.more = False
        self._alarm: asyncio.Handle | None = None
        self._alarm_at = 0.0
        self._in_hand: set[asyncio.Task[None]] = set()
        self._ended = asyncio.Event()
        self._ended.set()
        self._claiming = asyncio.Lock()  # `run` and `run_once` share the slots: none is promised twice
        self.wake = asyncio.Event()
        self._metrics = LeasedWorkMetrics(name)
        self._metrics.slots.set(slots)
        self._metrics.busy.set_function(lambda: slots - self._free)

    async def run_once(self) -> int:
        """Claims what fits into the free slots, waits until all of it is done, and returns how much it was."""
        attempts = await self._start()
        await asyncio.gather(*attempts)
        return len(attempts)

    async def run(self) -> None:
        """Works until `stop` is called or it is cancelled."""
        self._ended.clear()
        try:
            while not self._stopping:
                self.wake.clear()
                started: Sequence[asyncio.Task[None]] = ()
                try:
                    started = await self._start()
                except Exception as error:  # noqa: BLE001 - a database that is away for a while must not end the worker
                    count_error(error)
                    self._metrics.claims_failed.inc()
                    log.warning("claim failed", worker=self._name, reason=describe(error))
                if started:
                    await asyncio.sleep(self._interval_seconds)
                if not (started and self.more):
                    await self._wait()
        finally:
            self._ended.set()

    def wake_in(self, seconds: float) -> None:
        """Wakes it then, unless it is to wake before that anyway: what follows is found by polling."""
        loop = asyncio.get_running_loop()
        at = loop.time() + seconds
        if self._alarm is None or self._alarm_at <= loop.time() or at < self._alarm_at:
            if self._alarm is not None:
                self._alarm.cancel()
            self._alarm, self._alarm_at = loop.call_later(max(seconds, 0.0), self.wake.set), at

    async def stop(self) -> None:
        """Claims no more and waits for what is in hand, for a bounded time; what is left over is cancelled and released."""
        self._stopping = True
        self.wake.set()
        if self._alarm is not None:
            self._alarm.cancel()
        with suppress(TimeoutError):  # what a claim under way brings is work in hand too
            async with asyncio.timeout(CLAIM_SECONDS + 1):
                await self._ended.wait()
        if self._in_hand:
            _, late = await asyncio.wait(self._in_hand, timeout=_STOP_SECONDS)
            for task in late:
                task.cancel()
            if late:  # what cannot be released in time lapses
                await asyncio.wait(late, timeout=_RELEASE_SECONDS)

    async def _start(self) -> list["asyncio.Task[None]"]:
        async with self._claiming:
            self.more = False
            claimed = await self._claim(self._free) if self._free else ()
            self.more |= len(claimed) == self._free
            self._free -= len(claimed)
        (self._metrics.claims_with_work if claimed else self._metrics.claims_without).inc()
        self._metrics.claimed.inc(len(claimed))
        tasks = [asyncio.create_task(self._in_slot(piece)) for piece in claimed]
        self._in_hand.update(tasks)
        return tasks

    async def _in_slot(self, piece: Work) -> None:
        try:
            await self._attempt(piece)
        except asyncio.CancelledError:
            await self._give_back(piece)
            raise
        except Exception as error:  # noqa: BLE001 - its lease lapses and it is tried again
            count_error(error)
            self._metrics.abandoned.inc()
            log.warning("attempt abandoned", worker=self._name, reason=describe(error))
        finally:
            self._in_hand.discard(asyncio.current_task())
            self._free += 1
            if self.more:
                self.wake.set()

    async def _give_back(self, piece: Work) -> None:
        try:
            await self._release(piece)
        except PyMongoError as error:
            count_error(error)
            log.warning("not released: its lease lapses", worker=self._name, reason=describe(error))

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._poll_seconds):
                await self.wake.wait()
