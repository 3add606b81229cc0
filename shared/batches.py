"""Lets callers of one process that want the same kind of work share it.

A call to MongoDB costs about as much for a hundred documents as for one, and a journaled majority write takes milliseconds
however many it holds. So while one batch is under way arrivals queue, and the next batch takes them all, up to its bounds.
No timer waits to fill a batch: a lone caller pays nothing. Its owner says what a batch does; this module knows no database.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from shared.metrics import BatchMetrics
from shared.telemetry import log

Item = TypeVar("Item")
Result = TypeVar("Result")

ANSWER_SECONDS = 10.0  # after this, a caller gets UnavailableError: the outcome is unknown
PAUSE_SECONDS = 0.02  # a random pause of up to this long before the second try, twice before the third, and so on


class UnavailableError(Exception):
    """The write was not confirmed in time. It may have been made: ask again with the same key. C7: unknown is not failed."""


class OverloadedError(Exception):
    """The queue is full; nothing was written."""


class UnresolvedDuplicateError(Exception):
    """A unique key is taken by a write that no majority has confirmed yet; nothing was written."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds. `queue_max` and `queue_bytes_max` count every caller that has no answer yet; each waits for at most
    `deadline_seconds`, however often its work is tried.
    """

    batch_max: int = 128
    batch_bytes_max: int = 16 * 2**20
    batches_in_flight: int = 2  # the next is prepared while one waits for the disk; a third gains nothing
    queue_max: int = 4096
    queue_bytes_max: int = 64 * 2**20
    deadline_seconds: float = ANSWER_SECONDS


@asynccontextmanager
async def answered_within(seconds: float = ANSWER_SECONDS) -> AsyncIterator[None]:
    """Bounds several steps, each of which has a bound of its own, by the time of one. A step that is under way at the end
    may still complete. Tests pass fewer `seconds`. Raises UnavailableError. C8: a caller that leaves harms nobody.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise UnavailableError from None


@dataclass(eq=False)
class Caller(Generic[Item, Result]):
    """A caller that waits for `item` to be done. Callers with one `key` share a batch or go one after another; a caller that
    is `alone` shares its batch with no other of its key.
    """

    item: Item
    key: Hashable
    size: int
    future: "asyncio.Future[Result]"
    tries: int = 0
    alone: bool = False
    on_deadline: Exception = field(default_factory=UnavailableError)

    def answer(self, result: Result) -> None:
        if not self.future.done():  # C8: the caller may have gone away
            self.future.set_result(result)

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class Batches(Generic[Item, Result]):
    """`work(callers)` does a batch: it answers each caller, fails it, or has it tried `again`."""

    def __init__(
        self, work: Callable[[Sequence[Caller[Item, Result]]], Awaitable[None]], *, name: str, limits: Limits
    ) -> None:
        self._work = work
        self._limits = limits
        self._name = name
        self._queue: deque[Caller[Item, Result]] = deque()
        self._arrived = asyncio.Event()
        self._busy: set[Hashable] = set()
        self._pausing: set[Caller[Item, Result]] = set()
        self._unanswered = 0
        self._unanswered_bytes = 0
        self._stopping = False
        self._metrics = BatchMetrics(name)
        self._metrics.queue_length.set_function(lambda: len(self._queue))

    async def submit(self, item: Item, *, key: Hashable = None, size: int = 0, patience: float = 0) -> Result:
        """Returns the result for `item`, whose `size` is in bytes. An item with `patience` starts no batch for so many
        seconds, but joins one that starts anyway: work that nobody waits for then shares a write. Raises OverloadedError,
        UnavailableError, UnresolvedDuplicateError, and the error that `work` gives it.
        """
        if self._unanswered >= self._limits.queue_max or self._unanswered_bytes + size > self._limits.queue_bytes_max:
            self._metrics.queue_full.inc()
            raise OverloadedError
        arrived = time.perf_counter()
        loop = asyncio.get_running_loop()
        caller: Caller[Item, Result] = Caller(item, key, size, loop.create_future())
        self._unanswered += 1
        self._unanswered_bytes += size
        self._queue.append(caller)
        if patience:
            loop.call_later(patience, self._arrived.set)
        else:
            self._arrived.set()
        deadline = loop.call_later(self._limits.deadline_seconds, self._give_up, caller)
        try:
            return await caller.future
        finally:
            deadline.cancel()
            self._unanswered -= 1
            self._unanswered_bytes -= size
            self._metrics.wait_seconds.observe(time.perf_counter() - arrived)

    def _give_up(self, caller: Caller[Item, Result]) -> None:
        self._metrics.deadline.inc()
        caller.fail(caller.on_deadline)

    def again(self, callers: Iterable[Caller[Item, Result]], *, alone: bool = False) -> None:
        """Puts them back at the head of the queue after a random pause, which grows with their tries, so that two processes
        that met at one document do not meet there again. The key is free meanwhile.
        """
        for caller in callers:
            caller.tries += 1
            caller.alone |= alone
            self._pausing.add(caller)
            pause = random.uniform(0, PAUSE_SECONDS * caller.tries)  # noqa: S311 - jitter needs no secrecy
            asyncio.get_running_loop().call_later(pause, self._return, caller)

    def _return(self, caller: Caller[Item, Result]) -> None:
        if caller in self._pausing:
            self._pausing.discard(caller)
            self._queue.appendleft(caller)
            self._arrived.set()

    async def run(self) -> None:
        """Works until cancelled. Callers without an answer by then get UnavailableError: the outcome is unknown."""
        workers = [asyncio.create_task(self._work_forever()) for _ in range(self._limits.batches_in_flight)]
        try:
            await asyncio.wait(workers, return_when=asyncio.FIRST_COMPLETED)  # none ends unless it fails
        finally:
            # Cancelling alone is not enough: PyMongo reads through asyncio.wait_for, which on Python 3.11 can lose it.
            self._stopping = True
            self._arrived.set()
            for task in workers:
                task.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            for caller in (*self._queue, *self._pausing):
                caller.fail(UnavailableError())
            self._queue.clear()
            self._pausing.clear()

    async def _work_forever(self) -> None:
        while not self._stopping:
            await self._arrived.wait()
            if not (batch := self._take()):
                self._arrived.clear()  # set again by an arrival, or by a batch that frees a key
                continue
            self._metrics.batch_size.observe(len(batch))
            try:
                with self._metrics.batch_seconds.time():
                    await self._work(batch)
            except Exception as error:  # noqa: BLE001 - C8: whatever a batch throws, the worker lives on
                log.error("batch failed", batches=self._name, exc_info=error)
                for caller in batch:
                    caller.fail(error)
            finally:
                for caller in batch:
                    if caller not in self._pausing:
                        caller.fail(UnavailableError())  # does nothing to those already answered
                self._busy -= {caller.key for caller in batch}
                if self._queue:
                    self._arrived.set()

    def _take(self) -> list[Caller[Item, Result]]:
        """The next batch. Callers whose key is in hand stay in the queue, in order."""
        batch: list[Caller[Item, Result]] = []
        waiting: list[Caller[Item, Result]] = []
        keys: set[Hashable] = set()
        closed: set[Hashable] = set()  # keys whose caller is to be alone
        size = 0
        while self._queue and len(batch) < self._limits.batch_max and size < self._limits.batch_bytes_max:
            caller = self._queue.popleft()
            if caller.future.done():  # C8: gone away while it waited
                continue
            taken = caller.key in self._busy or caller.key in closed or (caller.alone and caller.key in keys)
            if caller.key is not None and taken:
                waiting.append(caller)
                continue
            batch.append(caller)
            size += caller.size
            if caller.key is not None:
                keys.add(caller.key)
                if caller.alone:
                    closed.add(caller.key)
        self._busy |= keys
        self._queue.extendleft(reversed(waiting))
        return batch
