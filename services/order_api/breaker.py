"""A circuit breaker: after repeated failures nobody calls for a while, then one probe decides. The clock comes in."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from shared.backoff import exponential

FAILURES_TO_OPEN = 5
COOL_DOWN_BASE_SECONDS = 0.5
COOL_DOWN_CAP_SECONDS = 10.0

State = Literal["closed", "half-open", "open"]


class BreakerOpenError(Exception):
    """Not now; nothing was called."""


class Call:
    """One permitted call. Its maker says how it ended; a call left at None proves nothing."""

    healthy: bool | None = None


class Breaker:
    """Closed: all calls pass. Open: none. Half-open, when the cool-down is over: one at a time.

    `on_opening` is called whenever it opens, anew after a probe that failed too.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, *, on_opening: Callable[[], None] = lambda: None
    ) -> None:
        self._clock = clock
        self._on_opening = on_opening
        self._failures = 0
        self._opened = 0  # how many times in a row
        self._half_open_at = 0.0  # when the cool-down ends, by the clock
        self._probing = False

    @property
    def is_open(self) -> bool:
        return self._opened > 0

    @property
    def state(self) -> State:
        if not self.is_open:
            return "closed"
        return "open" if self._clock() < self._half_open_at else "half-open"

    def permits(self, wanted: int) -> int:
        """How many of `wanted` calls it would let through now."""
        if not self.is_open:
            return wanted
        return min(wanted, 0 if self._probing or self._clock() < self._half_open_at else 1)

    @contextmanager
    def call(self) -> Iterator[Call]:
        """Around a call. Raises BreakerOpenError. A probe that is cancelled or raises is free again at once. C16"""
        if not self.permits(1):
            raise BreakerOpenError
        probe = self._probing = self.is_open
        call = Call()
        try:
            yield call
        finally:
            if probe:
                self._probing = False
            if call.healthy is True:
                self._failures = self._opened = 0
            elif call.healthy is False:
                self._note_failure(probe=probe)

    def _note_failure(self, *, probe: bool) -> None:
        self._failures += 1
        if probe or (self._failures >= FAILURES_TO_OPEN and not self.is_open):
            self._opened += 1
            cool_down = exponential(
                self._opened, base_seconds=COOL_DOWN_BASE_SECONDS, cap_seconds=COOL_DOWN_CAP_SECONDS
            )
            self._half_open_at = self._clock() + cool_down
            self._on_opening()
