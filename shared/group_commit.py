"""Group commit: many callers, one transaction.

A journaled majority commit takes milliseconds however many documents it holds, so callers of one process share it. While
one batch commits, arrivals queue; the next batch takes all of them, up to a bound. Each caller is answered after its own
batch is durable. No timer waits to fill a batch, so a lone caller pays nothing.

What is written, looked up or explained is the caller's: this module knows nothing of orders. C3 to C9
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import pymongo
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import BulkWriteError, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import Primary

from shared.batches import OverloadedError, UnavailableError, UnresolvedDuplicateError
from shared.metrics import GroupCommitMetrics
from shared.mongo import MAJORITY, Client, count_error, describe
from shared.telemetry import log

Item = TypeVar("Item")
Result = TypeVar("Result")

_DUPLICATE_KEY = 11000
_POLL_SECONDS = 0.05
_STALE_RUNS_MAX = 8
_CONTENDED_SECONDS = 0.25


class StaleError(Exception):
    """Raised by a `write` whose update matched fewer documents than it read: abort, read again. C3"""


class _ContendedError(Exception):
    """Somebody's open transaction, perhaps that of a dead process, holds a document that this batch must write."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of one group commit. A caller waits at most `deadline_seconds`, queue and all."""

    batch_max: int = 128
    batches_in_flight: int = 1
    queue_max: int = 4096
    transaction_seconds: float = 5.0
    deadline_seconds: float = 10.0


@dataclass(eq=False)
class _Caller(Generic[Item, Result]):
    item: Item
    keys: frozenset[Hashable]
    future: "asyncio.Future[Result]"
    on_deadline: Exception = field(default_factory=UnavailableError)

    def answer(self, result: Result) -> None:
        if not self.future.done():  # the caller may have gone away. C8
            self.future.set_result(result)

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


async def _look_nothing_up(items: Sequence[Item]) -> Sequence[Result | None]:
    return [None] * len(items)


def _no_keys(_item: Item) -> Iterable[Hashable]:
    return ()


class GroupCommit(Generic[Item, Result]):
    """Runs `write(session, items)` in one transaction for many callers, each getting the result of its own item.

    - `write` reads what it decides on through the session, writes, and returns one result an item, in order. It may run
      several times, so everything that must not change between runs is made before `submit`. C3, C4
    - `keys(item)`: no two items that share one are ever in the same or in concurrent batches; the later waits and is
      then judged anew. C6
    - `look_up(items)`: before the transaction, what is already known, by majority read; None for the rest. It is asked
      again after a duplicate key, so it must recognise whatever can be duplicate. C5, C6
    """

    def __init__(
        self,
        client: Client,
        write: Callable[[AsyncClientSession, Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        name: str,
        keys: Callable[[Item], Iterable[Hashable]] = _no_keys,
        look_up: Callable[[Sequence[Item]], Awaitable[Sequence[Result | None]]] = _look_nothing_up,
        limits: Limits = Limits(),
    ) -> None:
        self._client = client
        self._write = write
        self._keys = keys
        self._look_up = look_up
        self._limits = limits
        self._name = name
        self._queue: deque[_Caller[Item, Result]] = deque()
        self._arrived = asyncio.Event()
        self._busy: set[Hashable] = set()
        self._unresolved: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._metrics = GroupCommitMetrics(name)
        self._metrics.queue_length.set_function(lambda: len(self._queue))

    async def submit(self, item: Item) -> Result:
        """The item's result, once it is durable.

        Raises OverloadedError, UnavailableError, UnresolvedDuplicateError, and what `write` raised for this item alone.
        """
        if len(self._queue) >= self._limits.queue_max:
            self._metrics.queue_full.inc()
            raise OverloadedError
        arrived = time.perf_counter()
        caller = _Caller[Item, Result](item, frozenset(self._keys(item)), asyncio.get_running_loop().create_future())
        self._queue.append(caller)
        self._arrived.set()
        try:
            async with asyncio.timeout(self._limits.deadline_seconds):
                return await caller.future
        except TimeoutError:
            self._metrics.deadline.inc()
            raise caller.on_deadline from None
        finally:
            self._metrics.wait_seconds.observe(time.perf_counter() - arrived)

    async def run(self) -> None:
        """Commits what is submitted until cancelled. What is then still queued or in flight fails as unavailable."""
        committers = [asyncio.create_task(self._commit_forever()) for _ in range(self._limits.batches_in_flight)]
        try:
            await asyncio.wait(committers, return_when=asyncio.FIRST_COMPLETED)  # none ends by itself
        finally:
            # Cancelling alone is not enough: PyMongo reads through asyncio.wait_for, which on Python 3.11 can lose it.
            self._stopping = True
            self._arrived.set()
            for task in (*committers, *self._unresolved):
                task.cancel()
            await asyncio.gather(*committers, *self._unresolved, return_exceptions=True)
            for caller in self._queue:
                caller.fail(UnavailableError())
            self._queue.clear()

    async def _commit_forever(self) -> None:
        while not self._stopping:
            await self._arrived.wait()
            if not (batch := self._take()):
                self._arrived.clear()  # set again by an arrival, or by a batch that frees a key
                continue
            unresolved: set[_Caller[Item, Result]] = set()
            try:
                unresolved = await self._settle(batch)
            except Exception as error:  # noqa: BLE001 - whatever a batch throws, the committer lives on. C8
                log.error("group commit failed", group=self._name, exc_info=error)
                for caller in batch:
                    caller.fail(error)
            finally:
                for caller in batch:
                    if caller not in unresolved:
                        caller.fail(
                            UnavailableError()
                        )  # of no effect on those answered; the rest were cancelled with us
                        self._free(caller)

    def _take(self) -> list[_Caller[Item, Result]]:
        """The next batch. Whoever shares a key with work in hand stays in the queue, in order."""
        batch: list[_Caller[Item, Result]] = []
        waiting: list[_Caller[Item, Result]] = []
        while self._queue and len(batch) < self._limits.batch_max:
            caller = self._queue.popleft()
            if caller.future.done():  # gone away while it waited. C8
                continue
            if self._busy.isdisjoint(caller.keys):
                self._busy |= caller.keys
                batch.append(caller)
            else:
                waiting.append(caller)
        self._queue.extendleft(reversed(waiting))
        return batch

    def _free(self, caller: _Caller[Item, Result]) -> None:
        self._busy -= caller.keys
        if self._queue:
            self._arrived.set()

    async def _settle(self, batch: Sequence[_Caller[Item, Result]]) -> set[_Caller[Item, Result]]:
        """Answers the batch and returns the callers that a task of their own will answer later."""
        try:
            known = await self._look_up([caller.item for caller in batch])
        except PyMongoError as error:
            self._fail_all(batch, error)
            return set()
        fresh = []
        for caller, result in zip(batch, known, strict=True):
            if result is None:
                fresh.append(caller)
            else:
                caller.answer(result)
        return await self._transact(fresh) if fresh else set()

    async def _transact(self, batch: Sequence[_Caller[Item, Result]]) -> set[_Caller[Item, Result]]:
        """One transaction for the batch; one that is refused for good is halved until the cause stands alone. C6"""
        refusal: list[Exception] = []
        try:
            results = await self._one_transaction([caller.item for caller in batch], refusal)
        except Exception as error:  # noqa: BLE001 - told apart just below
            if error not in refusal:  # not raised by the write itself, so a commit may have happened. C7
                self._fail_all(batch, error)
                return set()
            if len(batch) > 1:
                self._metrics.halvings.inc()
                middle = len(batch) // 2
                return await self._transact(batch[:middle]) | await self._transact(batch[middle:])
            return self._judge_alone(batch[0], error)
        for caller, result in zip(batch, results, strict=True):
            caller.answer(result)
        return set()

    async def _one_transaction(
        self, items: Sequence[Item], refusal: list[Exception], *, alone: bool = False
    ) -> Sequence[Result]:
        """Runs the write and commits. An error of the write itself that ends the matter is noted in `refusal` as well.

        Unless `alone`, a document that stays locked is such an error after a moment: nothing was committed, and the batch
        can be halved until only whoever needs that document waits for it.
        """

        give_up_at = asyncio.get_running_loop().time() + (math.inf if alone else _CONTENDED_SECONDS)

        async def write(session: AsyncClientSession) -> Sequence[Result]:
            try:
                return await self._write(session, items)
            except Exception as error:
                if _is_conflict(error) or isinstance(error, StaleError):
                    self._metrics.conflicts.inc()
                if _is_conflict(error) and asyncio.get_running_loop().time() > give_up_at:
                    error = _ContendedError()
                if _is_deterministic(error):
                    refusal.append(error)
                raise error

        with pymongo.timeout(self._limits.transaction_seconds), self._metrics.transaction_seconds.time():
            for _ in range(_STALE_RUNS_MAX):
                with suppress(StaleError):
                    async with self._client.start_session() as session:
                        results = await session.with_transaction(
                            write,
                            read_concern=ReadConcern("snapshot"),
                            write_concern=MAJORITY,
                            read_preference=Primary(),
                        )
                    self._metrics.batch_size.observe(len(items))
                    return results
        raise UnavailableError

    def _judge_alone(self, caller: _Caller[Item, Result], error: Exception) -> set[_Caller[Item, Result]]:
        """What cannot be said at once is found out in a task of its own: it must not hold up the next batch."""
        if isinstance(error, _ContendedError):
            task = asyncio.create_task(self._wait_for_the_document(caller))
        elif _is_duplicate_key(error) and self._look_up is not _look_nothing_up:
            caller.on_deadline = UnresolvedDuplicateError()
            task = asyncio.create_task(self._poll(caller))
        else:
            count_error(error)
            log.error("refused by the database", group=self._name, reason=describe(error))
            caller.fail(error)
            return set()
        self._unresolved.add(task)
        task.add_done_callback(self._unresolved.discard)
        return {caller}

    async def _wait_for_the_document(self, caller: _Caller[Item, Result]) -> None:
        refusal: list[Exception] = []
        try:
            [result] = await self._one_transaction([caller.item], refusal, alone=True)
            caller.answer(result)
        except Exception as error:  # noqa: BLE001 - told to the caller
            if error not in refusal:
                self._fail_all([caller], error)
            elif _is_duplicate_key(error):
                await self._poll(caller)
            else:
                caller.fail(error)
        finally:
            caller.fail(UnavailableError())  # of no effect once answered
            self._free(caller)

    async def _poll(self, caller: _Caller[Item, Result]) -> None:
        """Waits until whoever took the key can be read back by a majority. C9"""
        try:
            while not (self._stopping or caller.future.done()):
                with suppress(PyMongoError):
                    [result] = await self._look_up([caller.item])
                    if result is not None:
                        caller.answer(result)
                        return
                await asyncio.sleep(_POLL_SECONDS)
        finally:
            caller.fail(UnavailableError())  # of no effect once answered
            self._free(caller)

    def _fail_all(self, batch: Sequence[_Caller[Item, Result]], error: Exception) -> None:
        count_error(error)
        self._metrics.unconfirmed.inc(len(batch))
        log.warning("commit not confirmed", group=self._name, batch=len(batch), reason=describe(error))
        for caller in batch:
            caller.fail(UnavailableError())


def _is_deterministic(error: Exception) -> bool:
    """Whether the same write would fail the same way again: a duplicate, a validator, a value BSON cannot hold."""
    if isinstance(error, StaleError):
        return False
    if isinstance(error, PyMongoError):
        passing = error.has_error_label("TransientTransactionError") or error.timeout
        return not passing and isinstance(error, OperationFailure)
    return True


def _is_conflict(error: Exception) -> bool:
    """Whether another transaction was in the way, which passes when that ends."""
    return isinstance(error, OperationFailure) and error.has_error_label("TransientTransactionError")


def _is_duplicate_key(error: Exception) -> bool:
    """insert_many raises BulkWriteError with the code inside, not DuplicateKeyError. C5"""
    if isinstance(error, BulkWriteError):
        return any(item["code"] == _DUPLICATE_KEY for item in error.details["writeErrors"])
    return isinstance(error, OperationFailure) and error.code == _DUPLICATE_KEY
