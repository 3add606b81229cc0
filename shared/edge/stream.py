"""Server-sent events (HTML Living Standard §9.2) that only hint: what changed is read by the ordinary calls."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import lru_cache
from typing import Any

import msgspec
from litestar import Response
from litestar.response import Stream

from shared.edge.auth import merchant_of
from shared.edge.types import Request
from shared.watch import HINTS_MAX, Hint, News, Watch

EVENT_STREAM = "text/event-stream"
TICK_SECONDS = 0.25  # how often a stream asks for news, which are looked for more seldom
COMMENT_SECONDS = 15.0  # after so much silence, so that nobody in between takes the connection for dead


def stream_hints(request: Request, watch: Watch) -> Response[Any]:
    """A message `{"id", "version"}` for each thing of the merchant's that changes, and `event: more` where some are left
    out. It ends when the client goes or the server stops. Whoever reads slowly gets the newest, and none of those between.
    """
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    if request.scope.get("without_body"):
        return Response(b"", media_type=EVENT_STREAM, headers=headers)
    hold: Any = request.scope["extensions"]["hold"]  # type: ignore[index]  # from BoundedProtocol
    return Stream(_messages(watch, merchant_of(request), hold), media_type=EVENT_STREAM, headers=headers)


async def _messages(watch: Watch, merchant: str, hold: Callable[[float], Awaitable[bool]]) -> AsyncIterator[bytes]:
    seen = (await watch.news(merchant, None)).number
    yield b":\n\n"  # whoever reads a view from here on is told of all that the view does not show
    spoke_at = time.monotonic()
    while await hold(TICK_SECONDS):
        news = await watch.news(merchant, seen)
        seen = news.number
        if message := _told(news):
            yield message
        elif time.monotonic() - spoke_at >= COMMENT_SECONDS:
            yield b":\n\n"
        else:
            continue
        spoke_at = time.monotonic()


def _told(news: News) -> bytes:
    more = b"event: more\ndata: {}\n\n" if news.more else b""
    return b"".join(map(_message, news.hints)) + more


@lru_cache(maxsize=4 * HINTS_MAX)
def _message(hint: Hint) -> bytes:
    """Made once, however many hear of it."""
    return b"data: %b\n\n" % msgspec.json.encode(hint)
