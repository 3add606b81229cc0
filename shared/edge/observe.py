"""Around the whole application: an id for every request, in its answer and in every log line; one line, and its metrics,
when it ends.
"""

import re
import time

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from shared.edge.metrics import count_request
from shared.ids import new_id
from shared.telemetry import log

_ACCEPTABLE_ID = re.compile(rb"[\x21-\x7e]{1,128}\Z")
_QUIET = ("/health/", "/metrics")  # asked every few seconds by whoever watches us


def observe(app: ASGIApp) -> ASGIApp:
    async def observed(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope["request_id"] = request_id  # type: ignore[typeddict-unknown-key]
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        started = time.perf_counter()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await app(scope, receive, send_with_id)
        finally:
            seconds = time.perf_counter() - started
            count_request(scope, status, seconds)
            if not scope["path"].startswith(_QUIET):
                elapsed = round(seconds * 1000, 2)
                log.info("request", method=scope["method"], path=scope["path"], status=status, duration_ms=elapsed)
            structlog.contextvars.unbind_contextvars("request_id")

    return observed


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _ACCEPTABLE_ID.match(value):
            return value.decode()
    return new_id("req")
