"""Around the application: for every request an id, its place in a trace, and at its end a log line and its metrics."""

import re
import time

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from shared.edge.metrics import count_request
from shared.ids import new_id
from shared.telemetry import log
from shared.trace import Trace, parse
from shared.tracing import serving

_ACCEPTABLE_ID = re.compile(rb"[\x21-\x7e]{1,128}\Z")
_PATH_CHARS_MAX = 256  # of what a span shows
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
        method, path = scope["method"], scope["path"]
        quiet = path.startswith(_QUIET)
        with serving(method, path[:_PATH_CHARS_MAX], _caller(scope), recorded=not quiet, request_id=request_id) as step:
            try:
                await app(scope, receive, send_with_id)
            finally:
                seconds = time.perf_counter() - started
                count_request(scope, status, seconds)
                if not quiet:
                    elapsed = round(seconds * 1000, 2)
                    shown = path if path.isprintable() else ascii(path)  # a terminal would obey what it is shown
                    log.info("request", method=method, path=shown, status=status, duration_ms=elapsed)
                step.answered(status, failed=status >= 500, route=scope.get("path_template"))

    return observed


def _caller(scope: Scope) -> Trace | None:
    """Whose trace this request is part of, by its headers; two of a kind, or malformed, are none."""
    parents = [value for name, value in scope["headers"] if name == b"traceparent"]
    states = [value for name, value in scope["headers"] if name == b"tracestate"]
    return parse(parents[0].decode("latin-1"), b",".join(states).decode("latin-1")) if len(parents) == 1 else None


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _ACCEPTABLE_ID.match(value):
            return value.decode()
    return new_id("req")
