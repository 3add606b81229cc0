"""The nemesis breaks the world: faults by a schedule that is drawn from a seed before anything begins."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random

from aiohttp import ClientError
from pymongo.errors import PyMongoError

from tools.chaos.cluster import Cluster
from tools.chaos.faults import KINDS, ONCE_A_RUN, Fault, Kind
from tools.mongod import MongodError
from tools.stack import ServiceError

BEGINS_SECONDS = 2.0
AT_ONCE = (1, 2, 2, 3)  # how many faults begin together
SPREAD_SECONDS = 3.0  # within which they begin
QUIET_SECONDS = (2.0, 6.0)  # after which the next begin: a world that never works has nothing to lose
LONG_SECONDS = 30.0  # nobody waits for the end of a longer fault
APART_SECONDS = 1.0  # between two faults of the same part of the world
PLACES_TRIED = 50  # to find one where a fault that comes once has room
LATE_SECONDS = 5.0  # by which a fault may begin late, if it would be over by then or has no length
_CANNOT = (PyMongoError, MongodError, ServiceError, ClientError, OSError, TimeoutError)


@dataclass(frozen=True)
class Planned:
    """Seconds count from the beginning of the run."""

    at: float
    fault: Fault

    @property
    def ends_at(self) -> float:
        return self.at + self.fault.seconds


def schedule(seed: int, seconds: float) -> list[Planned]:
    """Draws the plan, the same for the same seed and length. Each kind comes up once before one comes up twice, as far as
    the rest of the world lets it. Then those that come once a run are put where there is room.
    """
    draw = Random(f"{seed}/nemesis")
    deck = _shuffled_for_ever(draw)
    waiting: list[Kind] = []
    plan: list[Planned] = []
    now = BEGINS_SECONDS
    while now < seconds:
        begun: list[Planned] = []
        for _ in range(draw.choice(AT_ONCE)):
            waiting.append(next(deck))
            for kind in list(waiting):
                planned = Planned(now + draw.uniform(0, SPREAD_SECONDS), kind(draw))
                if planned.ends_at <= seconds and _is_free(planned, [*plan, *begun]):
                    waiting.remove(kind)
                    begun.append(planned)
                    break
        plan += begun
        ends = [planned.ends_at for planned in begun if planned.fault.seconds < LONG_SECONDS]
        now = max([now, *ends]) + draw.uniform(*QUIET_SECONDS)
    plan += _once_each(plan, Random(f"{seed}/once"), seconds)
    return sorted(plan, key=lambda planned: planned.at)


def _once_each(plan: list[Planned], draw: Random, seconds: float) -> list[Planned]:
    """Places the faults that come once. They have a draw of their own, so that the other faults do not depend on them."""
    found: list[Planned] = []
    for kind in ONCE_A_RUN:
        fault = kind(draw)
        latest = max(BEGINS_SECONDS, seconds - fault.seconds)
        places = (Planned(draw.uniform(BEGINS_SECONDS, latest), fault) for _ in range(PLACES_TRIED))
        free = (one for one in places if one.ends_at <= seconds and _is_free(one, [*plan, *found]))
        found += [one for one in (next(free, None),) if one is not None]
    return found


def _shuffled_for_ever(draw: Random) -> Iterator[Kind]:
    while True:
        yield from draw.sample(KINDS, len(KINDS))


def _is_free(planned: Planned, plan: list[Planned]) -> bool:
    return not any(
        planned.fault.holds & other.fault.holds
        and planned.at < other.ends_at + APART_SECONDS
        and other.at < planned.ends_at + APART_SECONDS
        for other in plan
    )


class Nemesis:
    """Follows the schedule. A fault that could not be made, such as the end of a missing primary, is not counted."""

    def __init__(self, cluster: Cluster, *, seed: int, seconds: float) -> None:
        self.plan = schedule(seed, seconds)
        self.injected: Counter[str] = Counter()
        self._cluster = cluster
        self._log_file: Path = cluster.directory / "nemesis.log"
        self._began = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self._parts: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def run(self) -> None:
        """Carries out the plan, and ends when the last fault is over."""
        self._began = time.monotonic()
        self._tasks = [asyncio.create_task(self._do(planned)) for planned in self.plan]
        await asyncio.gather(*self._tasks)

    async def stop(self) -> None:
        """Ends what is still on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def heal(self) -> None:
        """Ends what is still on, and restores everything. Raises MongodError and ServiceError."""
        await self.stop()
        await self._cluster.heal()
        self._note("healed")

    async def _do(self, planned: Planned) -> None:
        fault = planned.fault
        what = f"{fault.name} {fault.detail}".rstrip()
        await self._until(planned.at)
        try:
            # The schedule has no two faults at one part of the world, but on a slow machine one may outlast its time.
            async with AsyncExitStack() as alone:
                for part in sorted(fault.holds):
                    await alone.enter_async_context(self._parts[part])
                if time.monotonic() > self._began + max(planned.ends_at, planned.at + LATE_SECONDS):
                    self._note(f"too late: {what}")
                    return
                async with fault.inflict(self._cluster):
                    self.injected[fault.name] += 1
                    self._note(what)
                    await self._until(planned.ends_at)
                self._note(f"over: {what}")
        except _CANNOT as error:
            self._note(f"could not: {what}: {type(error).__name__} {str(error)[:200]}")

    async def _until(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, self._began + seconds - time.monotonic()))

    def _note(self, text: str) -> None:
        with self._log_file.open("a") as log:
            log.write(f"{time.monotonic() - self._began:7.1f} s  {text}\n")
