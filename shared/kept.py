"""An answer that many callers want: it is asked for once at a time, and kept for a while."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from math import inf
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """Calls `ask` once at a time, and gives its answer to every caller that comes within `seconds` after the question.

    Callers that come while a question is open wait for its answer. If `ask` fails, nothing is kept: the error goes to the
    caller that asked and to those that had come before it asked. Of those that came later, and if the caller that asked is
    cancelled, the next one asks again. So nobody waits for more than two questions that fail.
    """

    def __init__(self, ask: Callable[[], Awaitable[T]], *, seconds: float) -> None:
        self._ask = ask
        self._seconds = seconds
        self._asking = asyncio.Lock()
        self._answer: T
        self._asked_at = self._forgotten_at = self._failed_at = -inf
        self._error: Exception | None = None

    async def __call__(self) -> T:
        """The answer to a question that was asked at most `seconds` before this call. Raises what `ask` raises."""
        came_at = time.monotonic()
        oldest = max(came_at - self._seconds, self._forgotten_at)
        if self._asked_at < oldest:
            async with self._asking:
                if self._error and self._failed_at > came_at:
                    raise self._error
                if self._asked_at < oldest:  # nobody has asked while we waited
                    await self._ask_anew()
        return self._answer

    async def _ask_anew(self) -> None:
        asked_at = time.monotonic()
        try:
            self._answer = await self._ask()
        except Exception as error:
            self._error, self._failed_at = error, asked_at
            raise
        self._error, self._asked_at = None, asked_at

    def forget(self) -> None:
        """Later callers do not get what is kept, nor the answer to a question that is open now: one of them asks again."""
        self._forgotten_at = time.monotonic()
