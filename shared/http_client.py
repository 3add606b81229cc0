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

# The errors in which a call can end. A total timeout is TimeoutError, not ClientError.
CALL_ERRORS = (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError)

HEAD_BYTES_MAX = 64 * 1024  # status line and headers; some hundreds are usual, and other clients take 8 to 300 KiB
HEADERS_MAX = 1000  # in an answer; some tens are usual, and some gateways of companies add a hundred
INTERIM_ANSWERS_MAX = 16  # 1xx before the answer (RFC 9110 §15.2): a server that sends any sends one or two
PIECE_BYTES = 4096  # given to the parser at once, until the head has ended

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
    """A session without cookies, to be made and closed inside the event loop. `socket_factory` gets each address before it
    is connected to, and refuses one by an OSError. `not_added` names headers that aiohttp would add by itself.

    A request raises HeadTooLongError, besides the errors of aiohttp.
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
    """Returns the first `limit` bytes of the body and leaves the rest unread."""
    chunks: list[bytes] = []
    left = limit
    while left > 0 and (chunk := await response.content.read(left)):
        chunks.append(chunk)
        left -= len(chunk)
    return b"".join(chunks)


def retry_after_seconds(response: aiohttp.ClientResponse) -> float | None:
    """How long Retry-After asks to wait; a date counts from our clock. None for garbage."""
    return wait_of(response.headers.get("Retry-After", ""), now=utc_now())


class Heard:
    """Keeps the bytes of an answer's head until it is parsed. From them we know the status of an answer whose head aiohttp
    refuses, or that did not end in time.
    """

    def __init__(self) -> None:
        self.on_reused_connection = False
        self.head_bytes = 0  # of all heads, those of interim answers too
        self._head = bytearray()  # the head that is being parsed; empty once it has been
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
        """Keeps the start of the bytes that follow some that could not be parsed."""
        self._rest = rest[:PIECE_BYTES]

    def parsed(self) -> None:
        self._head.clear()

    def before_end(self, data: bytes) -> int:
        """How many bytes of `data` belong to the head; all if its end is not among them."""
        before = bytes(self._head[-4:])  # the end of the head may have begun in these
        ends = (end.end() - len(before) for end in _HEAD_END.finditer(before + data))
        return next((end for end in ends if end > 0), len(data))


_HEARD: ContextVar[Heard | None] = ContextVar("heard", default=None)


@contextmanager
def hearing() -> Iterator[Heard]:
    """Wraps one request, in its task. The connection that aiohttp chooses reports to this Heard."""
    heard = Heard()
    token = _HEARD.set(heard)
    try:
        yield heard
    finally:
        _HEARD.reset(token)


class _Connector(aiohttp.TCPConnector):
    """Gives its connections our protocol, for which aiohttp has no setting. Only the protocol can bound a head: before a
    response class sees the first interim answer, thousands more may be parsed and queued.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        connection: type[ResponseHandler] = _OneAnswer
        self._factory = partial(connection, self._loop)


class _OneAnswer(ResponseHandler):
    """A connection on which each request gets one answer, whose head is bounded in bytes and in interim answers."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._answered = True  # there is no request yet
        self._was_asked = False
        self._heard = Heard()
        self._interim_answers = 0

    def set_response_params(self, **params: Any) -> None:
        """A request begins; this runs in the context of its task."""
        self._answered = False
        self._interim_answers = 0
        self._heard = _HEARD.get() or Heard()
        self._heard.begin(reused=self._was_asked)
        self._was_asked = True
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """Receives bytes. aiohttp also calls it with none, to go on with bytes that it had put aside."""
        if not self._answered:
            data = self._receive_head(data)
            if not data:
                return
        if self._answered:
            self._receive_body(data)
        else:
            self._heard.keep(data)

    def _receive_head(self, data: bytes) -> bytes:
        """Parses the head and not a byte more, so that nothing behind it can spoil it. Returns the rest, or, if the head
        cannot be parsed, the bytes after the piece that failed.
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
        if data and self._payload is not None and self._payload.is_eof():  # more than the answer
            self._break_off()
            return
        failed_before = self.exception() is not None
        super().data_received(data)
        if self.exception() is not None and not failed_before:
            self._loop.call_soon(self._end_body, self._payload)  # what came before can be read until then

    def feed_data(self, data: tuple[RawResponseMessage, aiohttp.StreamReader], size: int = 0) -> None:
        """Takes an answer whose head has been parsed."""
        if self._answered:  # a second answer to one request; the next request must not get it
            self._break_off()
            return
        code = data[0].code
        self._answered = code >= 200 or code == 101  # aiohttp sees it the same way
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
        """Fails the body when its bytes stop making sense: aiohttp itself would leave its reader waiting."""
        if body is not None and not body.is_eof() and body.exception() is None:
            body.set_exception(aiohttp.ClientPayloadError("the body is malformed"))

    def _break_off(self) -> None:
        self.force_close()
        if self.transport is not None:
            self.transport.abort()
