"""What a handler may do with its client's connection besides answering: let it wait, and hang up."""

from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Request, Response
from litestar.types import ASGIApp, Receive, Scope, Send


async def hold(request: Request[Any, Any, Any], seconds: float) -> bool:
    """Lets the client wait. False if that ended early, because the client has gone or the server stops."""
    wait: Callable[[float], Awaitable[bool]] = _extension(request.scope, "hold")
    return await wait(seconds)


class NoAnswer(Response[Any]):
    """Closes the connection without a byte of an answer; logs and metrics show status 0."""

    def __init__(self) -> None:
        super().__init__(None)

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIApp:  # type: ignore[override]
        return _hang_up


async def _hang_up(scope: Scope, _receive: Receive, _send: Send) -> None:
    _extension(scope, "hang_up")()


def _extension(scope: Scope, name: str) -> Any:
    """From BoundedProtocol, which is what serves."""
    return scope["extensions"][name]  # type: ignore[index]
