"""A token bucket for each merchant: so many requests a second, and a second's worth at once. The clock comes in."""

import time
from collections.abc import Callable


class RateLimit:
    """Of one process: behind a load balancer, each replica allows this much."""

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._burst = max(1.0, per_second)
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}  # tokens, and when they were counted

    def seconds_to_wait(self, merchant: str) -> float:
        """Takes a token and returns 0; or takes none and returns how long it is until there will be one."""
        now = self._clock()
        tokens, counted_at = self._buckets.get(merchant, (self._burst, now))
        tokens = min(self._burst, tokens + (now - counted_at) * self._per_second)
        if tokens < 1:
            return (1 - tokens) / self._per_second
        self._buckets[merchant] = (tokens - 1, now)
        return 0.0
