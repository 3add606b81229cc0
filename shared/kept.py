"""An answer that many callers want: it is asked for once at a time, and kept for a while."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from math import inf
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """Calls `ask` once at a time, and gives its answer to every caller that comes within `seconds` after the question.

    Callers that come while a question is open wait for its answer. If `ask` fails or is cancelled, nothing is kept: only the
    caller that asked gets the error, and the next one that waits asks again.
    """

    def __init__(self, ask: Callable[[], Awaitable[T]], *, seconds: float) -> None:
        self._ask = ask
        self._seconds = seconds
        self._asking = asyncio.Lock()
        self._answer: T
        self._asked_at = self._forgotten_at = -inf

    async def __call__(self) -> T:
        """The answer to a question that was asked at most `seconds` before this call. Raises what `ask` raises."""
        oldest = max(time.monotonic() - self._seconds, self._forgotten_at)
        if self._asked_at < oldest:
            async with self._asking:
                if self._asked_at < oldest:  # nobody has asked while we waited
                    asked_at = time.monotonic()
                    self._answer = await self._ask()
                    self._asked_at = asked_at
        return self._answer

    def forget(self) -> None:
        """Later callers do not get what is kept, nor the answer to a question that is open now: one of them asks again."""
        self._forgotten_at = time.monotonic()
