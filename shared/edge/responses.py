"""Answers whose bytes are made already."""

from collections.abc import Mapping
from typing import Any

from litestar import Response
from litestar.types import ASGIApp, Receive, Scope, Send

from shared.idempotency import Answer


class Made(Response[Any]):
    """An answer that is sent as it is. Litestar's own Response costs more than the rest of Litestar's work on a request."""

    def __init__(self, body: bytes, status: int, media_type: str, headers: Mapping[str, str] = {}) -> None:
        # The attributes of a Response are not set, because nothing reads them.
        self._body = body
        self._status = status
        self._headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        self._headers += [(b"content-type", media_type.encode()), (b"content-length", b"%d" % len(body))]

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIApp:  # type: ignore[override]
        return self._answer

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self._status, "headers": self._headers})
        await send({"type": "http.response.body", "body": self._body, "more_body": False})


def json_response(body: bytes, status: int = 200, headers: Mapping[str, str] = {}) -> Response[Any]:
    return Made(body, status, "application/json", headers)


def replayable(answer: Answer) -> Response[Any]:
    """The first answer to an idempotency key. A replay is marked as one."""
    headers = {"Location": answer.location}
    if answer.replayed:
        headers["Idempotent-Replayed"] = "true"
    return json_response(answer.body.encode(), answer.status, headers)
