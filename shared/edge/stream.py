"""Server-sent events (HTML Living Standard §9.2). They only say which things changed; clients read those as usual."""

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
TICK_SECONDS = 0.25  # how often a stream asks for news; the database is asked less often
COMMENT_SECONDS = 15.0  # of silence until a comment is sent: proxies close connections that seem dead


def stream_hints(request: Request, watch: Watch) -> Response[Any]:
    """A message `{"id", "version"}` for each thing of the merchant that changes, and `event: more` when some were left out.
    The stream ends when the client goes or the server stops. A client that reads slowly gets only the newest.
    """
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    if request.scope.get("without_body"):
        return Response(b"", media_type=EVENT_STREAM, headers=headers)
    hold: Any = request.scope["extensions"]["hold"]  # type: ignore[index]  # from BoundedProtocol
    return Stream(_messages(watch, merchant_of(request), hold), media_type=EVENT_STREAM, headers=headers)


async def _messages(watch: Watch, merchant: str, hold: Callable[[float], Awaitable[bool]]) -> AsyncIterator[bytes]:
    seen = (await watch.news(merchant, None)).number
    yield b":\n\n"  # a client that reads a view after this hears of every later change
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
    """The message, which is made once for all streams."""
    return b"data: %b\n\n" % msgspec.json.encode(hint)
