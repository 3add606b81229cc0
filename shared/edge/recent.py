"""The latest requests of this process with their answers, in memory, for developers of clients. Never in production.

No secrets are kept: no Authorization, no value of a member called `secret` or `headers`, and nothing that looks like a
webhook secret.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.types import Message, Receive
from msgspec import Meta

from shared.edge.auth import merchant_of
from shared.edge.lists import page_response, position_after
from shared.edge.problems import ProblemError
from shared.edge.types import Request
from shared.ids import new_id
from shared.pages import Found, Page
from shared.times import rfc3339, utc_now

KEPT_MAX = 1000
TEXT_MAX = 4096  # characters of a body
_HEADERS_MAX = 40
_VALUE_MAX = 512  # characters of one header
_HIDDEN = b"..."
_OF_SCOPE = ("method", "path", "query_string", "headers", "merchant", "fault")
_NOT_SHOWN = frozenset({b"authorization", b"cookie", b"set-cookie"})
_STRING = rb'"(?:[^"\\]|\\.)*"?'  # the last may be cut off
_SECRETS = re.compile(
    rb'(?P<name>"secret"\s*:\s*)' + _STRING + rb'|(?P<object>"headers"\s*:\s*)\{(?:' + _STRING + rb'|[^"}])*\}?'
    rb"|whsec_[A-Za-z0-9+/=_-]+"
)


class RecentRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A request and its answer. `status` is 0 where none was begun; `key` is the Idempotency-Key; `fault` is what was made
    to go wrong with the answer. Bodies are cut after 4,096 characters, and secrets are left out.
    """

    id: Annotated[str, Meta(examples=["req_01a209e9aac873d8b2de2b8bb118537e"])]
    at: Annotated[str, Meta(examples=["2026-11-23T19:37:18.280Z"])]
    method: Annotated[str, Meta(examples=["POST"])]
    path: Annotated[str, Meta(examples=["/"])]
    status: Annotated[int, Meta(examples=[401])]
    duration_ms: Annotated[float, Meta(examples=[3.41])]
    key: str | None
    replayed: Annotated[bool, Meta(examples=[False])]
    fault: str | None
    request_headers: Annotated[dict[str, str], Meta(examples=[{"content-type": "application/json"}])]
    request_body: Annotated[str, Meta(examples=["{}"])]
    response_headers: Annotated[dict[str, str], Meta(examples=[{"content-type": "application/problem+json"}])]
    response_body: Annotated[str, Meta(examples=['{"type":"/problems/unauthenticated"}'])]


@dataclass(eq=False)
class Recorded:
    """A request and its answer, as bytes. They are made readable only when somebody looks."""

    # Only the members that are shown: the others would keep a connection in memory.
    scope: Mapping[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=lambda: new_id("req"))
    at: datetime = field(default_factory=utc_now)
    seconds: float = 0.0
    asked: bytes = b""
    status: int = 0
    headers: Iterable[tuple[bytes, bytes]] = ()
    answered: bytes = b""

    def copying(self, receive: Receive) -> Receive:
        """Receives for the application, and copies the body."""

        async def receive_copied() -> Any:
            message = await receive()
            if message["type"] == "http.request" and len(self.asked) < TEXT_MAX:
                self.asked += message.get("body", b"")[:TEXT_MAX]
            return message

        return receive_copied

    def answer(self, message: Message) -> None:
        """Copies what is sent."""
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], message["headers"]
        elif message["type"] == "http.response.body" and len(self.answered) < TEXT_MAX:
            self.answered += message["body"][:TEXT_MAX]

    def take(self, scope: Any) -> None:
        """Keeps the part of the scope that is shown, without secrets."""
        self.scope = {name: scope.get(name) for name in _OF_SCOPE} | {"headers": _kept_of(scope["headers"])}
        self.headers = _kept_of(self.headers)
        self.asked, self.answered = (_without_secrets(body[:TEXT_MAX]) for body in (self.asked, self.answered))

    def shown(self) -> RecentRequest:
        scope, request, response = self.scope, _shown(self.scope["headers"]), _shown(self.headers)
        query = _without_secrets(scope["query_string"]).decode("latin-1")
        return RecentRequest(
            id=self.id,
            at=rfc3339(self.at),
            method=scope["method"],
            path=(f"{scope['path']}?{query}" if query else scope["path"])[:_VALUE_MAX],
            status=self.status,
            duration_ms=round(self.seconds * 1000, 2),
            key=request.get("idempotency-key"),
            replayed="idempotent-replayed" in response,
            fault=scope.get("fault"),
            request_headers=request,
            request_body=_text(self.asked),
            response_headers=response,
            response_body=_text(self.answered),
        )


class Recent:
    """`keeps` decides by method, path and status whether a request is kept. `told` is called with the id of each that is."""

    def __init__(self, keeps: Callable[[str, str, int], bool], told: Callable[[str], None]) -> None:
        self._keeps = keeps
        self._told = told
        self._kept: deque[Recorded] = deque(maxlen=KEPT_MAX)

    def page(self, merchant: str, before: str | None, limit: int) -> Found[RecentRequest]:
        """A page, newest first. It has this merchant's requests, and those of none."""
        own = (one for one in reversed(self._kept) if one.scope.get("merchant") in {merchant, None})
        left = [one for one in own if before is None or one.id < before]
        shown = [one.shown() for one in left[:limit]]
        return Found(shown, shown[-1].id if len(left) > limit else None)

    def begin(self, scope: Any) -> Recorded | None:
        """Begins to record a request. None if it will not be kept, whatever its answer is."""
        kept = self._keeps(scope["method"], scope["path"], 599) and not _by_a_page(scope)
        return Recorded() if kept else None

    def end(self, recorded: Recorded, scope: Any, seconds: float) -> None:
        """Keeps the request, if `keeps` wants one with this answer."""
        if self._keeps(scope["method"], scope["path"], recorded.status):
            recorded.seconds = seconds
            recorded.take(scope)
            self._kept.append(recorded)
            self._told(recorded.id)


def recent_page(
    request: Request, recent: Recent | None, limit: int, cursor: str | None
) -> Response[Page[RecentRequest]]:
    """A page of the kept requests. Raises CursorError, and ProblemError `not-found` where none are kept."""
    if recent is None:
        raise ProblemError("not-found", "requests are kept in development only")
    found = recent.page(merchant_of(request), position_after(request, cursor), limit)
    return page_response(request, found, msgspec.json.encode)


def _shown(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}


def _text(body: bytes) -> str:
    return body.decode(errors="replace")


def _kept_of(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    some = list(headers)[:_HEADERS_MAX]
    return [
        (name[:_VALUE_MAX], _HIDDEN if name.lower() in _NOT_SHOWN else _without_secrets(value[:_VALUE_MAX]))
        for name, value in some
    ]


def _without_secrets(text: bytes) -> bytes:
    if b"sec" not in text and b'"headers"' not in text:
        return text
    return _SECRETS.sub(_without, text)


def _without(found: re.Match[bytes]) -> bytes:
    name = found["name"] or found["object"]
    return name + b'"..."' if name else b"whsec_..."


def _by_a_page(scope: Any) -> bool:
    """Whether a page of ours has sent it: the console would fill the list with its own requests."""
    return scope["method"] == "GET" and (b"sec-fetch-site", b"same-origin") in scope["headers"]
