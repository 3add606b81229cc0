"""Calling another service: a session whose every wait and size is bounded."""

import asyncio
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import RawResponseMessage

from shared.times import utc_now

# What a call can end in besides an answer. A total timeout is TimeoutError, not ClientError.
CALL_ERRORS = (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError)

HEAD_BYTES_MAX = 64 * 1024  # before an answer's body; usual are some hundreds, and other clients take 8 to 300 KiB
INTERIM_ANSWERS_MAX = 16  # 1xx before the answer (RFC 9110 §15.2): a server that sends any sends one or two
PIECE_BYTES = 4096  # parsed at once before the head is there


class HeadTooLongError(aiohttp.ClientError):
    """The head of the answer did not end within HEAD_BYTES_MAX, or more than INTERIM_ANSWERS_MAX came before it."""


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
    before it is connected to, and refuses one by an OSError. A request raises HeadTooLongError, besides what aiohttp's do.
    """
    return aiohttp.ClientSession(
        connector=_Connector(limit=connections_max, socket_factory=socket_factory, resolver=resolver),
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


class _Connector(aiohttp.TCPConnector):
    """aiohttp has no setting for the protocol of its connections. Nothing above the protocol can bound a head: when a
    response class is given the first interim answer, thousands more have been parsed and queued already.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        connection: type[ResponseHandler] = _OneAnswer
        self._factory = partial(connection, self._loop)


class _OneAnswer(ResponseHandler):
    """A connection on which each request gets one answer, whose head is bounded in bytes and in interim answers."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._answered = True  # nothing is asked yet
        self._head_bytes = 0
        self._interim_answers = 0

    def set_response_params(self, **params: Any) -> None:
        """A request begins."""
        self._answered = False
        self._head_bytes = self._interim_answers = 0
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        if self._answered:
            super().data_received(data)
            return
        piece, rest = data[:PIECE_BYTES], data[PIECE_BYTES:]
        self._head_bytes += len(piece)
        super().data_received(piece)
        if not self._answered:
            self._bound_head()
        if rest and self.exception() is None:
            self.data_received(rest)

    def feed_data(self, data: tuple[RawResponseMessage, aiohttp.StreamReader], size: int = 0) -> None:
        """An answer whose head has been parsed."""
        if self._answered:  # nobody has asked for it, and the next request must not get it
            self._break_off()
            return
        code = data[0].code
        self._answered = code >= 200 or code == 101  # as aiohttp reads it
        self._interim_answers += not self._answered
        super().feed_data(data, size)

    def _bound_head(self) -> None:
        if self._interim_answers > INTERIM_ANSWERS_MAX:
            why = f"more than {INTERIM_ANSWERS_MAX} interim answers, and no other"
        elif self._head_bytes > HEAD_BYTES_MAX:
            why = f"the head of the answer is longer than {HEAD_BYTES_MAX} bytes"
        else:
            return
        self.set_exception(HeadTooLongError(why))
        self._break_off()

    def _break_off(self) -> None:
        self.force_close()
        if self.transport is not None:
            self.transport.abort()
