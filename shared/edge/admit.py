"""The decision whether a request is served: whose it is, how fast that merchant sends, and how many are at work."""

import math
import time
from collections.abc import Callable, Sequence

from litestar.types import Scope

from shared.edge.auth import ApiKey, authenticated_merchant
from shared.edge.metrics import REQUESTS_AT_WORK
from shared.edge.problems import ProblemError
from shared.edge.requests import require_body_as_declared, require_declared_query
from shared.edge.types import Request


class RateLimit:
    """A token bucket for each merchant, in one process. It allows `per_second` requests, and those of one second at once."""

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._burst = max(1.0, per_second)
        self._buckets: dict[str, tuple[float, float]] = {}  # tokens, and when they were counted

    def seconds_to_wait(self, merchant: str, *, now: float) -> float:
        """Takes a token and returns 0. If there is none, returns the seconds until there will be one. `now` is by any clock
        that never goes back.
        """
        tokens, counted_at = self._buckets.get(merchant, (self._burst, now))
        tokens = min(self._burst, tokens + (now - counted_at) * self._per_second)
        if tokens < 1:
            return (1 - tokens) / self._per_second
        self._buckets[merchant] = (tokens - 1, now)
        return 0.0


class Admission:
    """The rules for every request. A handler sets options to be exempt from some of them:

    - `public=True`: no key is needed, and no rate is limited.
    - `always=True`: it is served however many requests are at work.
    - `raw_body=True`: it checks the body itself.
    - `any_query=True`: any query parameters are accepted, because others choose the address that is called.
    - `test=True` is no exemption: such a handler is refused unless `test_endpoints`.

    It is no Litestar guard. Litestar copies the handler before each guard: the smallest requests took twice as long.
    """

    def __init__(
        self,
        keys: Sequence[ApiKey],
        *,
        requests_max: int,
        rate_limit: RateLimit | None = None,
        test_endpoints: bool = False,
    ) -> None:
        self._keys = keys
        self._test_endpoints = test_endpoints
        self._requests_max = requests_max
        self._rate_limit = rate_limit
        self._at_work = 0
        REQUESTS_AT_WORK.set_function(lambda: self._at_work)

    def _release(self) -> None:
        self._at_work -= 1

    async def admit(self, request: Request) -> None:
        """For Litestar's `before_request`. Raises ProblemError: `overloaded`, `unauthenticated`, `rate-limited`,
        `test-endpoints-disabled`, `invalid-fields` for a query, and those of `require_body_as_declared`.
        """
        options = request.route_handler.opt
        if not options.get("public"):
            self._admit_merchant(request)
        if options.get("test") and not self._test_endpoints:
            raise ProblemError("test-endpoints-disabled")
        if not options.get("any_query"):
            require_declared_query(request)
        if options.get("always"):
            return
        if request.method != "GET":  # before it takes a place: a client that sends slowly must not take one
            await require_body_as_declared(request)
        if self._at_work >= self._requests_max:
            raise ProblemError("overloaded")
        self._at_work += 1
        request.scope["at_work"] = self._release  # type: ignore[typeddict-unknown-key]

    def _admit_merchant(self, request: Request) -> None:
        merchant = authenticated_merchant(request, self._keys)
        if self._rate_limit and (wait := self._rate_limit.seconds_to_wait(merchant, now=time.monotonic())):
            raise ProblemError("rate-limited", retry_after_seconds=math.ceil(wait))
        request.scope["merchant"] = merchant  # type: ignore[typeddict-unknown-key]


def release(scope: Scope) -> None:
    """Gives back the place of a request among those at work, if it has one. Called at its end, or when it only waits."""
    give_back: Callable[[], None] | None = scope.pop("at_work", None)  # type: ignore[typeddict-item]
    if give_back:
        give_back()
