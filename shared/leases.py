"""Work that any number of replicas share. Each claims a piece under a lease by the server's clock, with a token of its own.
Its result is written only if the token still stands, so a process that slept past its lease changes nothing. The services
have the claims themselves. C11: one claim, one holder; C23: a charge ends once.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from contextvars import Context, copy_context
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import pymongo
from pymongo.errors import PyMongoError

from shared.metrics import LeasedWorkMetrics
from shared.mongo import Document, count_error, describe
from shared.telemetry import log

Work = TypeVar("Work")

CLAIM_SECONDS = 5.0
_STOP_SECONDS = 6.0  # a call of the provider that is under way ends within this
_RELEASE_SECONDS = 3.0
INTERVAL_SECONDS = 0.02  # a claim costs as much for one piece as for fifty, so it waits for more to arrive


def in_seconds(seconds: float) -> Document:
    """The server's time `seconds` from now, in an aggregation expression."""
    return {"$add": ["$$NOW", round(seconds * 1000)]}


@dataclass(frozen=True)
class Lease:
    """How long claimed work is ours, by our monotonic clock, which starts before the claim is asked for."""

    expires_at: float

    def covers(self, seconds: float) -> bool:
        """Whether the rest of the lease is long enough for work that takes up to `seconds`."""
        return time.monotonic() + seconds <= self.expires_at


async def _keep(_piece: Any) -> None:
    """Does nothing: there is no lease to release, or releasing it is not worth a write."""


class LeasedWork(Generic[Work]):
    """Claims work into free slots and does it concurrently; a slow piece holds up its own slot only.

    `claim(limit)` returns at most `limit` pieces, within CLAIM_SECONDS. `attempt(piece)` does one and handles its own
    failures. `release(piece)` gives back one that was cancelled. Whoever sets `wake` hints at work; without it, polling
    every `poll_seconds` finds it. After a claim that found work, the next follows after `interval_seconds`, which the claim
    may set. If it filled all slots that it could, or set `more` because it left work behind, the next one follows as soon
    as a slot is free.

    New work may be claimed by the write that stores it. The caller reserves a slot first. Then it begins the piece, or gives
    the slot back. With `spare`, a claim leaves a quarter of the free slots to new work that comes meanwhile, unless older
    work waits. Work that gets no slot needs another claim; without spare slots each claim would cause the next.
    """

    def __init__(
        self,
        claim: Callable[[int], Awaitable[Sequence[Work]]],
        attempt: Callable[[Work], Awaitable[object]],
        *,
        name: str,
        slots: int,
        poll_seconds: float = 0.5,
        release: Callable[[Work], Awaitable[None]] = _keep,
        wake: asyncio.Event | None = None,
        spare: bool = False,
    ) -> None:
        self._claim = claim
        self._attempt = attempt
        self._release = release
        self._name = name
        self._free = slots
        self._spare = spare
        self._promised: float = 0  # of the free slots, to the claim that is under way
        self._poll_seconds = poll_seconds
        self.interval_seconds = INTERVAL_SECONDS
        self._stopping = False
        self.more = False
        self._alarm: asyncio.Handle | None = None
        self._alarm_at = 0.0
        self._in_hand: set[asyncio.Task[None]] = set()
        self._ended = asyncio.Event()
        self._ended.set()
        self._claiming = asyncio.Lock()  # `run` and `run_once` share the slots: no slot is given away twice
        self._context = Context()  # for what `begin` starts: not that of the request which stored it
        self._reserved = 0
        self._none_reserved = asyncio.Event()
        self._none_reserved.set()
        self.wake = wake or asyncio.Event()
        self._metrics = LeasedWorkMetrics(name)
        self._metrics.slots.set(slots)
        self._metrics.busy.set_function(lambda: slots - self._free)

    async def run_once(self) -> int:
        """Claims work once, as `run` does, waits until all of it is done, and returns the number of pieces."""
        attempts = await self._start()
        await asyncio.gather(*attempts)
        return len(attempts)

    async def run(self) -> None:
        """Works until `stop` is called or it is cancelled."""
        self._ended.clear()
        self._context = copy_context()
        try:
            while not self._stopping:
                self.wake.clear()
                started: Sequence[asyncio.Task[None]] = ()
                try:
                    started = await self._start()
                except Exception as error:  # noqa: BLE001 - a database that is away for a while must not end the worker
                    count_error(error)
                    self._metrics.claims["failed"].inc()
                    log.warning("claim failed", worker=self._name, reason=describe(error))
                if started:
                    await asyncio.sleep(self.interval_seconds)
                if not (started and self.more):
                    await self._wait()
        finally:
            self._ended.set()

    def wake_in(self, seconds: float) -> None:
        """Wakes the worker then, unless it wakes earlier anyway. Polling finds later work."""
        loop = asyncio.get_running_loop()
        at = loop.time() + seconds
        pending = self._alarm if self._alarm_at > loop.time() else None  # one that is due wakes the worker in any case
        if pending is None or at < self._alarm_at:
            if pending is not None:
                pending.cancel()
            self._alarm, self._alarm_at = loop.call_later(max(seconds, 0.0), self.wake.set), at

    @property
    def free(self) -> int:
        """How many slots are free."""
        return self._free

    def reserve(self) -> bool:
        """Takes a slot for a piece that the caller stores and claims in one write. Returns False if none is free that
        a claim may not need, if older work may be waiting, or if the worker does not run.
        """
        may = not (self.more or self._stopping or self._ended.is_set())
        if not (may and self._free > self._promised):
            return False
        self._free -= 1
        self._reserved += 1
        self._none_reserved.clear()
        return True

    def begin(self, piece: Work) -> None:
        """Does a piece, whose claim is acknowledged, in a slot that was reserved."""
        self._end_reservation()
        self._metrics.claimed.inc()
        self._in_hand.add(asyncio.create_task(self._in_slot(piece), context=self._context.copy()))

    def give_back(self) -> None:
        """Gives back a slot that was reserved."""
        self._end_reservation()
        self._free_slot()

    def _end_reservation(self) -> None:
        self._reserved -= 1
        if not self._reserved:
            self._none_reserved.set()

    def _free_slot(self) -> None:
        self._free += 1
        if self.more:
            self.wake.set()

    async def stop(self) -> None:
        """Claims no more and waits a bounded time for the work in hand. Work left over is cancelled and released."""
        self._stopping = True
        self.wake.set()
        if self._alarm is not None:
            self._alarm.cancel()
        # A claim that is under way may still bring work, and so may a slot that is reserved.
        with suppress(TimeoutError):
            async with asyncio.timeout(CLAIM_SECONDS + 1):
                await self._ended.wait()
                await self._none_reserved.wait()
        if self._in_hand:
            _, late = await asyncio.wait(self._in_hand, timeout=_STOP_SECONDS)
            for task in late:
                task.cancel()
            if late:  # leases that cannot be released in time lapse
                await asyncio.wait(late, timeout=_RELEASE_SECONDS)

    async def _start(self) -> list["asyncio.Task[None]"]:
        async with self._claiming:
            spare = self._free // 4 if self._spare and not self.more else 0
            limit = self._free - spare  # slots may become free while it claims
            self._promised = limit if spare else math.inf
            self.more = False
            try:
                with pymongo.timeout(CLAIM_SECONDS):  # `stop` waits a little longer
                    claimed = await self._claim(limit) if limit else ()
            finally:
                self._promised = 0
            self.more |= len(claimed) == limit
            self._free -= len(claimed)
        self._metrics.claims["work" if claimed else "nothing"].inc()
        self._metrics.claimed.inc(len(claimed))
        tasks = [asyncio.create_task(self._in_slot(piece)) for piece in claimed]
        self._in_hand.update(tasks)
        return tasks

    async def _in_slot(self, piece: Work) -> None:
        try:
            await self._attempt(piece)
        except asyncio.CancelledError:
            await self._give_back_piece(piece)
            raise
        except Exception as error:  # noqa: BLE001 - its lease lapses and it is tried again
            count_error(error)
            self._metrics.abandoned.inc()
            log.warning("attempt abandoned", worker=self._name, reason=describe(error))
        finally:
            self._in_hand.discard(asyncio.current_task())
            self._free_slot()

    async def _give_back_piece(self, piece: Work) -> None:
        try:
            await self._release(piece)
        except PyMongoError as error:
            count_error(error)
            log.warning("not released: its lease lapses", worker=self._name, reason=describe(error))

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._poll_seconds):
                await self.wake.wait()
