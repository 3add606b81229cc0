"""The wrapper around the application. It gives a request its id and its place in a trace, and an answer its headers. At the
end it writes one log line and counts. It also answers HEAD and OPTIONS, which Litestar does not.

There is one wrapper with one `send`, because each further one would add a call to every message of every answer.
"""

import re
import time
from collections.abc import Sequence

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from shared.edge.admit import release
from shared.edge.metrics import count_request
from shared.edge.recent import Recent, Recorded
from shared.edge.requests import Fields
from shared.ids import new_id
from shared.telemetry import log
from shared.tracing import parse, serving

# An answer that sets one of these itself keeps its own.
SECURITY_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
_SECURITY_NAMES = frozenset(name for name, _ in SECURITY_HEADERS)
_NO_SUCH_METHOD = "ANY"  # Litestar answers it with 405, and with the methods that there are
_ACCEPTABLE_ID = re.compile(r"[\x21-\x7e]{1,128}\Z")
_PATH_CHARS_MAX = 256  # of a path, in a span
_QUIET = ("/health/", "/metrics")  # monitoring asks for these every few seconds


def exchanging(app: ASGIApp, recent: Recent | None = None) -> ASGIApp:
    """Wraps the application. `recent` keeps some of the requests with their answers."""

    async def exchanged(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        started = time.perf_counter()
        method, path = scope["method"], scope["path"]
        fields = Fields(scope["headers"])
        request_id = _request_id(fields)
        scope["fields"], scope["request_id"] = fields, request_id  # type: ignore[typeddict-unknown-key]
        recorded = recent.begin(scope) if recent else None
        inner = _inner(scope)
        exchange = _Exchange(inner, send, method, request_id.encode(), recorded)
        quiet = path.startswith(_QUIET)
        parents = fields.values(b"traceparent")
        caller = parse(parents[0], ",".join(fields.values(b"tracestate"))) if len(parents) == 1 else None
        with serving(method, path[:_PATH_CHARS_MAX], caller, recorded=not quiet, request_id=request_id) as step:
            try:
                if method == "OPTIONS" and path == "*":
                    await exchange.send({"type": "http.response.start", "status": 204, "headers": []})
                    await exchange.send({"type": "http.response.body", "body": b"", "more_body": False})
                else:
                    await app(inner, recorded.copying(receive) if recorded else receive, exchange.send)
            finally:
                release(inner)
                status, route = exchange.status, inner.get("path_template")
                seconds = time.perf_counter() - started
                if recent and recorded:
                    recent.end(recorded, {**inner, "method": method}, seconds)
                count_request(method, route, status, seconds)
                if not quiet:
                    elapsed = round(seconds * 1000, 2)
                    shown = path if path.isprintable() else ascii(path)  # a terminal would obey what it is shown
                    log.info("request", method=method, path=shown, status=status, duration_ms=elapsed)
                step.answered(status, failed=status >= 500, route=route)

    return exchanged


class _Exchange:
    """An answer on its way out. When it starts, its request gives back its place among those at work. So a client that
    reads slowly takes no place from others.
    """

    __slots__ = ("_has_body", "_method", "_recorded", "_request_id", "_scope", "_send", "status")

    def __init__(self, scope: Scope, send: Send, method: str, request_id: bytes, recorded: Recorded | None) -> None:
        self._scope = scope
        self._send = send
        self._method = method
        self._request_id = request_id
        self._recorded = recorded
        self._has_body = method != "HEAD"  # RFC 9110 §9.3.2: the headers of the answer to a GET
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            release(self._scope)
            status, headers = message["status"], message["headers"]
            if status == 405 and self._method == "OPTIONS":  # RFC 9110 §9.3.7: 204 with Allow where there is something
                status, headers = 204, [header for header in headers if header[0] == b"allow"]
                self._has_body = False
            missing: Sequence[tuple[bytes, bytes]] = SECURITY_HEADERS
            if not _SECURITY_NAMES.isdisjoint(own := dict(headers)):
                missing = [header for header in SECURITY_HEADERS if header[0] not in own]
            message["headers"] = [*headers, *missing, (b"x-request-id", self._request_id)]
            message["status"] = self.status = status
        elif message["type"] == "http.response.body" and not self._has_body:
            message["body"] = b""
        if self._recorded:
            self._recorded.answer(message)
        await self._send(message)


def _inner(scope: HTTPScope) -> HTTPScope:
    """The scope for the application. HEAD and OPTIONS are changed in a copy, because the server needs the original."""
    match scope["method"]:
        case "HEAD":
            return {**scope, "method": "GET", "without_body": True}  # type: ignore[typeddict-unknown-key]  # for streams
        case "OPTIONS":
            return {**scope, "method": _NO_SUCH_METHOD}  # type: ignore[typeddict-item]
        case _:
            return scope


def _request_id(fields: Fields) -> str:
    """The id that the client has sent, or a new one."""
    acceptable = [value for value in fields.values(b"x-request-id") if _ACCEPTABLE_ID.match(value)]
    return acceptable[0] if acceptable else new_id("req")
