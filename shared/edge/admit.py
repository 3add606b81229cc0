"""Who is served, and how many at once: asked before anything else is done for a request, its body not yet read."""

import math
from collections.abc import Sequence
from typing import Any

from litestar import Request
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from shared.edge.auth import ApiKey, authenticated_merchant
from shared.edge.metrics import REQUESTS_AT_WORK
from shared.edge.problems import ProblemError
from shared.edge.rate_limit import RateLimit
from shared.edge.requests import require_single_parameters


class Admission:
    """Handlers opt out: of keys and rates with `public=True`, of the bound on requests at work with `always=True`.

    It is no Litestar guard, because before each guard Litestar copies the handler: with one, the smallest requests took
    twice as long.
    """

    def __init__(self, keys: Sequence[ApiKey], *, requests_max: int, rate_limit: RateLimit | None = None) -> None:
        self._keys = keys
        self._requests_max = requests_max
        self._rate_limit = rate_limit
        self._at_work = 0
        REQUESTS_AT_WORK.set_function(lambda: self._at_work)

    def counting(self, app: ASGIApp) -> ASGIApp:
        """The application, with the requests counted that are at work in it."""

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != ScopeType.HTTP:
                await app(scope, receive, send)
                return
            self._at_work += 1
            try:
                await app(scope, receive, send)
            finally:
                self._at_work -= 1

        return counted

    async def admit(self, request: Request[Any, Any, Any]) -> None:
        """For Litestar's `before_request`. Raises ProblemError: `overloaded`, `unauthenticated`, `rate-limited`, or
        `invalid-fields` for a query that is ambiguous.
        """
        options = request.route_handler.opt
        if self._at_work > self._requests_max and not options.get("always"):
            raise ProblemError("overloaded")
        if not options.get("public"):
            self._admit_merchant(request)
        require_single_parameters(request)

    def _admit_merchant(self, request: Request[Any, Any, Any]) -> None:
        merchant = authenticated_merchant(request, self._keys)
        if self._rate_limit and (wait := self._rate_limit.seconds_to_wait(merchant)):
            raise ProblemError("rate-limited", retry_after_seconds=math.ceil(wait))
        request.scope["merchant"] = merchant  # type: ignore[typeddict-unknown-key]
