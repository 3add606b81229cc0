"""Calling another service: a session whose every wait and size is bounded."""

import asyncio
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

import aiohttp
from aiohttp.abc import AbstractResolver

from shared.times import utc_now

# What a call can end in besides an answer. A total timeout is TimeoutError, not ClientError.
CALL_ERRORS = (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError)


def open_session(
    *,
    connections_max: int,
    connect_seconds: float,
    total_seconds: float,
    headers: Mapping[str, str] | None = None,
    socket_factory: aiohttp.SocketFactoryType | None = None,
    resolver: AbstractResolver | None = None,
) -> aiohttp.ClientSession:
    """A session without cookies. To be made inside the event loop and closed there. `socket_factory` sees each address
    before it is connected to, and refuses one by an OSError.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections_max, socket_factory=socket_factory, resolver=resolver),
        timeout=aiohttp.ClientTimeout(total=total_seconds, connect=connect_seconds),
        headers=headers,
        cookie_jar=aiohttp.DummyCookieJar(),
    )


async def read_up_to(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The first `limit` bytes of the body; the rest is left unread."""
    chunks: list[bytes] = []
    left = limit
    while left > 0 and (chunk := await response.content.read(left)):
        chunks.append(chunk)
        left -= len(chunk)
    return b"".join(chunks)


def retry_after_seconds(response: aiohttp.ClientResponse) -> float | None:
    """How long Retry-After asks to wait, by our clock if until a date (RFC 9110 §10.2.3); None for garbage."""
    value = response.headers.get("Retry-After", "")[:64]
    if value.isascii() and value.isdigit():
        return float(value[:12])
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - utc_now()).total_seconds())
