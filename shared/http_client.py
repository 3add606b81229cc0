"""Calling another service: a session whose every wait and size is bounded."""

import asyncio
import re
import ssl
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import RawResponseMessage

from shared.times import utc_now, wait_of

# What a call can end in besides an answer. A total timeout is TimeoutError, not ClientError.
CALL_ERRORS = (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError)

HEAD_BYTES_MAX = 64 * 1024  # before an answer's body; usual are some hundreds, and other clients take 8 to 300 KiB
HEADERS_MAX = 1000  # of an answer; usual are some tens, and some gateways of companies add a hundred
INTERIM_ANSWERS_MAX = 16  # 1xx before the answer (RFC 9110 §15.2): a server that sends any sends one or two
PIECE_BYTES = 4096  # parsed at once before the head is there

_STATUS_LINE = re.compile(rb"(?:\r?\n)*HTTP/1\.[0-9] ([0-9]{3})(?:[ \t][^\n]*|\r)?\n")  # RFC 9112 §4, any end of line
# Empty lines alone are no head: they may come before an answer (RFC 9112 §2.2).
_HEAD_END = re.compile(rb"[^\r\n]\r?\n\r?\n")


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
    tls: ssl.SSLContext | None = None,
    keeps_connections: bool = True,
    decompresses: bool = True,
    not_added: Collection[str] = (),
) -> aiohttp.ClientSession:
    """A session without cookies. To be made inside the event loop and closed there. `socket_factory` sees each address
    before it is connected to, and refuses one by an OSError. `not_added` are headers that aiohttp would add by itself.

    A request raises HeadTooLongError, besides what aiohttp's do.
    """
    return aiohttp.ClientSession(
        connector=_Connector(
            limit=connections_max,
            socket_factory=socket_factory,
            resolver=resolver,
            ssl=tls or True,
            force_close=not keeps_connections,
        ),
        timeout=aiohttp.ClientTimeout(total=total_seconds, connect=connect_seconds),
        headers=headers,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=not_added,
        auto_decompress=decompresses,
        # A head is bounded as a whole, so no line of it needs a bound of its own.
        max_line_size=HEAD_BYTES_MAX,
        max_field_size=HEAD_BYTES_MAX,
        max_headers=HEADERS_MAX,
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
    """How long Retry-After asks to wait, by our clock if until a date; None for garbage."""
    return wait_of(response.headers.get("Retry-After", ""), now=utc_now())


class Heard:
    """The bytes of one answer's head, until it is parsed. They say what aiohttp cannot: the status of an answer whose head
    it refuses, or that has not ended in time.
    """

    def __init__(self) -> None:
        self.on_reused_connection = False
        self.head_bytes = 0  # of all heads, interim ones too
        self._head = bytearray()  # of the answer that is being parsed; empty once it has been
        self._rest = b""

    @property
    def status(self) -> int | None:
        """None if there is no whole status line of a final answer, or if the head has been parsed."""
        line = _STATUS_LINE.match(self._head)
        return int(line[1]) if line and (line[1] >= b"200" or line[1] == b"101") else None

    @property
    def body(self) -> bytes:
        """The bytes that came after a head that could not be parsed, up to PIECE_BYTES, as they came."""
        read = bytes(self._head) + self._rest
        end = _HEAD_END.search(read)
        return read[end.end() :] if end else b""

    def begin(self, *, reused: bool) -> None:
        self.on_reused_connection = reused

    def take(self, piece: bytes) -> None:
        self.head_bytes += len(piece)
        self._head += piece

    def keep(self, rest: bytes) -> None:
        """Keeps the start of what follows bytes that could not be parsed."""
        self._rest = rest[:PIECE_BYTES]

    def parsed(self) -> None:
        self._head.clear()

    def before_end(self, data: bytes) -> int:
        """How many bytes of `data` belong to the head; all if its end is not among them."""
        before = bytes(self._head[-4:])  # the end may have begun there
        ends = (end.end() - len(before) for end in _HEAD_END.finditer(before + data))
        return next((end for end in ends if end > 0), len(data))


_HEARD: ContextVar[Heard | None] = ContextVar("heard", default=None)


@contextmanager
def hearing() -> Iterator[Heard]:
    """Goes around one request, in its task. The connection that aiohttp chooses tells it what it hears."""
    heard = Heard()
    token = _HEARD.set(heard)
    try:
        yield heard
    finally:
        _HEARD.reset(token)


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
        self._was_asked = False
        self._heard = Heard()
        self._interim_answers = 0

    def set_response_params(self, **params: Any) -> None:
        """A request begins, in the context of who makes it."""
        self._answered = False
        self._interim_answers = 0
        self._heard = _HEARD.get() or Heard()
        self._heard.begin(reused=self._was_asked)
        self._was_asked = True
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """Also called with nothing, by aiohttp, to go on with what it had put aside."""
        if not self._answered:
            data = self._receive_head(data)
            if not data:
                return
        if self._answered:
            self._receive_body(data)
        else:
            self._heard.keep(data)

    def _receive_head(self, data: bytes) -> bytes:
        """Parses no further than to its end, so that nothing behind it can spoil it. Returns the rest, or what follows after
        bytes that could not be parsed.
        """
        while data and not self._answered and self.exception() is None:
            piece = data[: self._heard.before_end(data[:PIECE_BYTES])]
            data = data[len(piece) :]
            self._heard.take(piece)
            super().data_received(piece)
            if not self._answered:
                self._bound_head()
        return data

    def _receive_body(self, data: bytes) -> None:
        if data and self._payload is not None and self._payload.is_eof():  # nobody has asked for it
            self._break_off()
            return
        failed_before = self.exception() is not None
        super().data_received(data)
        if self.exception() is not None and not failed_before:
            self._loop.call_soon(self._end_body, self._payload)  # what came before can be read until then

    def feed_data(self, data: tuple[RawResponseMessage, aiohttp.StreamReader], size: int = 0) -> None:
        """An answer whose head has been parsed."""
        if self._answered:  # nobody has asked for it, and the next request must not get it
            self._break_off()
            return
        code = data[0].code
        self._answered = code >= 200 or code == 101  # as aiohttp reads it
        self._interim_answers += not self._answered
        self._heard.parsed()
        super().feed_data(data, size)

    def _bound_head(self) -> None:
        if self._interim_answers > INTERIM_ANSWERS_MAX:
            why = f"more than {INTERIM_ANSWERS_MAX} interim answers, and no other"
        elif self._heard.head_bytes > HEAD_BYTES_MAX:
            why = f"the head of the answer is longer than {HEAD_BYTES_MAX} bytes"
        else:
            return
        self.set_exception(HeadTooLongError(why))
        self._break_off()

    @staticmethod
    def _end_body(body: aiohttp.StreamReader | None) -> None:
        """aiohttp tells nobody who waits for the rest of a body that its next bytes make no sense."""
        if body is not None and not body.is_eof() and body.exception() is None:
            body.set_exception(aiohttp.ClientPayloadError("the body is malformed"))

    def _break_off(self) -> None:
        self.force_close()
        if self.transport is not None:
            self.transport.abort()
