"""Advancing the test clock: the work that falls due on the way is done now, in order, each piece at its own time.

The clock stands still at each moment at which work is due until that is done, and then goes to the next. So another
replica, whose workers read the same clock, does nothing early. A process that dies on the way leaves the clock where it
stands; its lease lapses, and another process goes on from there. C24: the clock moves nothing that safety rests on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any, Literal, NamedTuple

import msgspec
from pymongo.errors import PyMongoError

from payment_gateway.claim import claim, release
from payment_gateway.clock.clock import Clock, advancing
from payment_gateway.clock.stored_clock import StoredClock
from payment_gateway.store import Store
from shared.leases import LeasedWork
from shared.mongo import Collection, Document
from shared.telemetry import log
from shared.times import utc_now

LEASE_SECONDS = 30.0
IN_HAND_POLL_SECONDS = 0.01
ANSWER_SECONDS = 10.0  # the caller waits this long for the clock to arrive


Work = Literal["charges", "endpoints", "resends", "deliveries", "held"]


class Schedule(NamedTuple):
    """Work that waits for its time. `first_due(after)` says when the first piece is due, None if there is none. It skips
    pieces that were due at `after` or before. `run_once` does the work that is due.
    """

    name: Work
    first_due: Callable[[datetime | None], Awaitable[datetime | None]]
    run_once: Callable[[], Awaitable[int]]


class _OvertakenError(Exception):
    """Another process advances the clock now, because our lease has lapsed."""


class AdvanceClock:
    """Advances the clock. `schedules` stand in the order in which one kind of work makes the next due, and are asked in that
    order. Work that is still not done `stuck_seconds` of real time after it fell due holds the clock up no longer.
    """

    def __init__(
        self, store: Store, clock: StoredClock, schedules: Sequence[Schedule], *, stuck_seconds: float
    ) -> None:
        self._store = store
        self._clock = clock
        self._schedules = schedules
        self._stuck_seconds = stuck_seconds
        self.work = LeasedWork[Document](
            self._claim, self._advance, name="advance_clock", slots=1, release=self._release
        )

    async def __call__(self, by: timedelta) -> Clock:
        """Returns the clock once it has arrived, or after ANSWER_SECONDS on its way. Raises ClockError, PyMongoError."""
        asked = await self._clock.change(lambda clock: advancing(clock, by, real=utc_now()))
        self.work.wake.set()
        deadline = asyncio.get_running_loop().time() + ANSWER_SECONDS
        while True:
            clock = await self._clock.read()
            if clock.version != asked.version or asyncio.get_running_loop().time() > deadline:
                return clock
            await asyncio.sleep(IN_HAND_POLL_SECONDS)

    async def upcoming(self) -> list[tuple[Work, datetime]]:
        """The first due time of each kind of work, the earliest first. Raises PyMongoError."""
        found = zip(self._schedules, await self._first_due(None), strict=True)
        return sorted(((schedule.name, at) for schedule, at in found if at is not None), key=itemgetter(1))

    async def _claim(self, limit: int) -> Sequence[Document]:
        _, documents = await claim(
            self._store.clock,
            due={"state": "advancing"},
            due_at="asked_at",
            now=utc_now() + timedelta(minutes=1),  # the clock of the process that asked may be ahead of ours
            limit=limit,
            lease_seconds=LEASE_SECONDS,
            also_set={},  # its version counts the requests to change it
        )
        return documents

    async def _release(self, document: Document) -> None:
        await release(self._store.clock, document, also_set={})

    async def _advance(self, document: Document) -> None:
        try:
            await self._go_on(msgspec.convert(document, Clock))
        except Exception:
            with suppress(PyMongoError):  # then the lease must lapse before another process goes on
                await self._release(document)
            raise

    async def _go_on(self, clock: Clock | None) -> None:
        left_behind: datetime | None = None  # work that was due by then is no longer waited for
        while clock is not None:
            assert clock.at is not None
            assert clock.until is not None
            if not await self._do_what_is_due(clock, left_behind):
                left_behind = clock.at
            upcoming = min(filter(None, await self._first_due(left_behind)), default=None)
            if upcoming is not None and upcoming <= clock.until:
                upcoming = max(upcoming, clock.at)  # work that fell due meanwhile is late; time never goes back
                clock = await self._clock.move(clock, upcoming, lease_seconds=LEASE_SECONDS)
                continue
            if await self._clock.arrive(clock):
                log.info("clock arrived", at=clock.until)
            return

    async def _do_what_is_due(self, clock: Clock, left_behind: datetime | None) -> bool:
        """Whether everything that is due at the clock's time is done. Raises _OvertakenError."""
        assert clock.at is not None
        loop = asyncio.get_running_loop()
        give_up_at, renew_at = loop.time() + self._stuck_seconds, loop.time() + LEASE_SECONDS / 3
        while True:
            found = zip(self._schedules, await self._first_due(left_behind), strict=True)
            due = [schedule for schedule, at in found if at is not None and at <= clock.at]
            if not due:
                return True
            if any([await schedule.run_once() for schedule in due]):
                give_up_at = loop.time() + self._stuck_seconds
            elif loop.time() > give_up_at:
                log.warning("left behind by the clock", schedules=[one.name for one in due], at=clock.at)
                return False
            else:  # another replica, or a worker of ours, is doing it
                await asyncio.sleep(IN_HAND_POLL_SECONDS)
            if loop.time() > renew_at:
                if await self._clock.move(clock, clock.at, lease_seconds=LEASE_SECONDS) is None:
                    raise _OvertakenError
                renew_at = loop.time() + LEASE_SECONDS / 3

    async def _first_due(self, left_behind: datetime | None) -> Sequence[datetime | None]:
        """The first due time of each schedule. Each is asked after the one before has answered, so that it sees the work
        which that one has made due. C24: nothing happens before its time.
        """
        return [await schedule.first_due(left_behind) for schedule in self._schedules]


def first_due_in(
    collection: Collection, field: str, waiting: Mapping[str, Any]
) -> Callable[[datetime | None], Awaitable[datetime | None]]:
    """Finds work that waits for the time in a field of its document."""

    async def first_due(after: datetime | None) -> datetime | None:
        when: Mapping[str, Any] = {"$type": "date"} if after is None else {"$gt": after, "$type": "date"}
        found = await collection.find_one({**waiting, field: when}, {field: 1}, sort=[(field, 1)])
        return found[field] if found else None

    return first_due
