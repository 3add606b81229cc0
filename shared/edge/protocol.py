"""uvicorn's HTTP protocol with what it lacks: deadlines for slow clients, and bounds on what they may send.

It trusts llhttp for framing: bare LF, folded headers, two lengths, or a length beside chunks are refused there with 400.
"""

import asyncio
import math
import re
import socket
from enum import IntEnum
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from shared.edge.limits import (
    BODY_BYTES_A_SECOND_MIN,
    BODY_BYTES_MAX,
    BODY_WIRE_BYTES_MAX,
    HEAD_BYTES_MAX,
    PIPELINE_MAX,
    TARGET_BYTES_MAX,
    HttpLimits,
)
from shared.edge.metrics import CUT_OFF, count_refusal
from shared.edge.unread import Unread, unsent_by_kernel
from shared.telemetry import log

LINGER_SECONDS = 2.0  # how long a refused client may take to read why
UNSENT_IN_KERNEL_MAX = 128 * 1024  # bytes for each client
STOPPING_SECONDS = 2.0  # how long a slow client may still take when the server stops
_HEAD_TOO_LARGE = (HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"the headers exceed {HEAD_BYTES_MAX} bytes")
_TARGET_TOO_LONG = (HTTPStatus.REQUEST_URI_TOO_LONG, f"the target exceeds {TARGET_BYTES_MAX} bytes")
_BLANKS = (b" ", b"\t")
_HOST = re.compile(rb"([A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(:[0-9]*)?")  # RFC 3986 §3.2.2


class _Phase(IntEnum):
    IDLE = 0  # nothing of a next request has come
    HEAD = 1
    BODY = 2


class _RefusedError(Exception):
    """Raised in a callback of the parser, with status and reason: this connection ends here."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection. No timer runs for a request: `sweep` is called about once a second and looks at the deadlines."""

    def __init__(self, limits: HttpLimits, unread: Unread, **given: Any) -> None:
        super().__init__(**given)
        self._limits = limits
        self._unread = unread
        self._write_seconds = limits.http_write_seconds
        self._phase_seconds = {  # how long each may last
            _Phase.IDLE: math.inf,
            _Phase.HEAD: limits.http_head_seconds,
            _Phase.BODY: limits.http_body_seconds,
        }
        self._phase = _Phase.IDLE
        self._steps = 0  # how often the phase has changed
        self._phase_bytes = 0  # received since
        self._piece_bytes = 0
        self._head_is_split = False  # it began in an earlier piece
        self._deadline = math.inf  # by the loop's clock: when the present phase must be over
        self._refused = False
        self._running: RequestResponseCycle | None = None  # the one that is being answered: others wait behind it
        self._unread_bytes = 0  # as the last sweep saw it
        self.progress_at = self.loop.time()  # when the client was last seen to take any of it
        self._stopping = False
        self._is_cut_off = False
        self._held_back: tuple[RequestResponseCycle, ASGI3Application] | None = None  # its client must read on first
        self._last_words = b""  # why this connection ends, after the answers to earlier requests
        self._held: asyncio.Event | None = None  # set to end a hold early
        self._extensions = {"hold": self._hold, "hang_up": self._hang_up}  # for handlers

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        _keep_little_unsent(transport)
        self._unread.readers.add(self)
        self._deadline = self.loop.time() + self._limits.http_head_seconds
        if len(self.connections) > self._limits.http_connections_max:
            count_refusal(HTTPStatus.SERVICE_UNAVAILABLE)
            log.warning("connection refused", reason="too many connections")
            transport.write(_plain_answer(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections", "retry-after: 1"))
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unread.readers.discard(self)
        # uvicorn tells only the latest request's application: one whose answer is due first would write to nobody.
        if self._running is not None and not self._running.response_complete:
            _disconnect(self._running)
        self._end_hold()

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        if self._refused:
            self._phase_bytes += len(data)
            if self._phase_bytes > BODY_WIRE_BYTES_MAX:
                self.transport.abort()
            return
        steps = self._steps
        self._piece_bytes = len(data)
        self._head_is_split = self._phase is _Phase.HEAD
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            cause = error.__context__
            if isinstance(cause, _RefusedError):
                self._refuse(*cause.args)
            else:
                self._refuse(HTTPStatus.BAD_REQUEST, "not a valid HTTP request")
            return
        if self._steps == steps:
            self._count(len(data))
        else:
            self._deadline = self.loop.time() + self._phase_seconds[self._phase]
            self._phase_bytes = 0
            if self._phase is _Phase.HEAD:  # the piece may have held other requests before this one
                self._count(self._head_bytes())

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more, but may yet read: whole requests are still answered, and a stream ends. Returns whether
        the connection stays open for that.
        """
        self._end_hold()
        if self._phase is _Phase.BODY or not self._is_answering() or self.cycle.response_started:
            return False
        if not self._last_words:
            self.cycle.keep_alive = False
        return True

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._unread_bytes == 0:
            self.progress_at = self.loop.time()
        self._unread.look_soon()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._held_back:
            waiting, self._held_back = self._held_back, None
            self.flow.resume_reading()
            self._start_asgi_task(*waiting)

    def _feed(self, data: bytes) -> None:
        """An offer to upgrade is ignored (RFC 9110 §7.8). llhttp would take it for accepted and skip the body, so a new
        parser reads the same head without it, and what follows.
        """
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                data = self._head_without_offer() + data[offer.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            else:
                return

    def _head_without_offer(self) -> bytes:
        kept = [(name, value) for name, value in self.headers if name not in {b"upgrade", b"connection"}]
        if any(name == b"connection" and b"close" in value.lower() for name, value in self.headers):
            kept.append((b"connection", b"close"))
        version = self.parser.get_http_version().encode()
        first = self.parser.get_method() + b" " + self.url + b" HTTP/" + version
        return b"\r\n".join([first, *(name + b": " + value for name, value in kept), b"", b""])

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._enter(_Phase.HEAD)

    def on_headers_complete(self) -> None:
        self._check_head()
        self._check_framing()
        if self.parser.get_http_version() == "1.0":
            self.expect_100_continue = False  # RFC 9110 §10.1.1
        if self.parser.should_upgrade():
            return  # read again without the offer: _feed
        super().on_headers_complete()
        if self.expect_100_continue:  # answered without its body, which may then come or not: nothing else may follow
            self.cycle.keep_alive = False
        # Trailers would be added to the headers, after those were looked at: they go to a list that nobody reads.
        self.headers = []
        self._enter(_Phase.BODY)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        super().on_message_complete()
        self._enter(_Phase.IDLE)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Not while the client leaves earlier answers unread: no work is done, and no answer kept, for nobody."""
        if self.flow.write_paused:
            self._held_back = (cycle, app)
            self.flow.pause_reading()
            return
        self._running = cycle
        cycle.scope["extensions"] = self._extensions  # type: ignore[typeddict-item]
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._last_words and not self._is_answering() and not self.transport.is_closing():
            self._say_why(self._last_words)
        if (
            self.pipeline or self._held_back
        ):  # uvicorn reads on: a client that only sends could queue up any number of requests
            self.flow.pause_reading()

    def shutdown(self) -> None:
        """The server stops: what is in hand is finished, unless it is the client who keeps it waiting; a stream ends."""
        super().shutdown()
        self._stopping = True
        self._end_hold()
        if self._is_answering() and self.cycle.response_started:
            _disconnect(self.cycle)
            self.transport.close()
        self._deadline = min(self._deadline, self.loop.time() + STOPPING_SECONDS)
        self._write_seconds = min(self._write_seconds, STOPPING_SECONDS)

    def sweep(self, now: float) -> None:
        """Ends the connection of a client that takes too long to send, or to take what it is sent."""
        if now >= self._deadline:
            self._out_of_time()
        unread = self.unread_bytes()
        if unread == 0 or unread < self._unread_bytes or self._unread_bytes == 0:
            self.progress_at = now
        elif now - self.progress_at >= self._write_seconds:
            self.cut_off("the client does not read")
        self._unread_bytes = unread

    def unread_bytes(self) -> int:
        """What waits for the client to read it, here and in the kernel."""
        return 0 if self._is_cut_off else self.transport.get_write_buffer_size() + unsent_by_kernel(self.transport)

    def cut_off(self, reason: str) -> None:
        CUT_OFF.inc()
        log.info("connection aborted", reason=reason, unread_bytes=self.unread_bytes())
        self._is_cut_off = True
        self.transport.abort()

    async def _hold(self, seconds: float) -> bool:
        """Whether it lasted so long: it ends early when the client goes or the server stops."""
        if self._stopping or self.transport.is_closing():
            return False
        self._held = asyncio.Event()
        try:
            async with asyncio.timeout(seconds):
                await self._held.wait()
        except TimeoutError:
            return True
        finally:
            self._held = None
        return False

    def _end_hold(self) -> None:
        if self._held is not None:
            self._held.set()

    def _hang_up(self) -> None:
        """Closes the connection after what earlier requests were answered. What is sent from now on goes nowhere."""
        assert self._running is not None
        self._running.disconnected = True
        self.transport.close()

    def _enter(self, phase: _Phase) -> None:
        self._phase = phase
        self._steps += 1

    def _check_head(self) -> None:
        """Raises _RefusedError."""
        if len(self.url) > TARGET_BYTES_MAX:
            raise _RefusedError(*_TARGET_TOO_LONG)
        may_be_too_large = self._head_is_split or self._piece_bytes > HEAD_BYTES_MAX
        if may_be_too_large and self._head_bytes() > HEAD_BYTES_MAX:
            raise _RefusedError(*_HEAD_TOO_LARGE)
        if len(self.pipeline) >= PIPELINE_MAX:
            raise _RefusedError(HTTPStatus.TOO_MANY_REQUESTS, f"more than {PIPELINE_MAX} pipelined requests")

    def _check_framing(self) -> None:
        """What llhttp lets pass. Raises _RefusedError."""
        if self.parser.get_method() == b"CONNECT":
            raise _bad_request("this is no proxy")
        version = self.parser.get_http_version()
        if version not in {"1.1", "1.0"}:
            raise _bad_request(f"HTTP/{version} is not spoken here")
        hosts = []
        for place, (name, value) in enumerate(self.headers):
            if value[-1:] in _BLANKS:  # llhttp leaves them; they are not part of the value (RFC 9110 §5.5)
                self.headers[place] = (name, value.rstrip(b" \t"))
            if name == b"host":
                hosts.append(self.headers[place][1])
            elif name == b"transfer-encoding" and (version == "1.0" or value.lower() != b"chunked"):
                raise _bad_request("chunked is the only Transfer-Encoding, and HTTP/1.1's")  # RFC 9112 §6.1
        if (len(hosts) != 1 and (hosts or version == "1.1")) or (hosts and not _HOST.fullmatch(hosts[0])):
            raise _bad_request("exactly one Host header is needed, and valid")  # RFC 9112 §3.2

    def _head_bytes(self) -> int:
        """What the parser has told of the present head; a header that goes on in the next piece is not in it yet."""
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _count(self, received: int) -> None:
        """Counts what was received in the present phase."""
        self._phase_bytes += received
        if self._phase is _Phase.HEAD and self._phase_bytes > HEAD_BYTES_MAX:
            self._refuse(*(_HEAD_TOO_LARGE if self.headers else _TARGET_TOO_LONG))
        elif self._phase is _Phase.BODY and self._phase_bytes > BODY_WIRE_BYTES_MAX:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body is too large")
        elif self._phase is _Phase.BODY and self._phase_bytes <= BODY_BYTES_MAX:  # slow, but steady
            self._deadline += received / BODY_BYTES_A_SECOND_MIN
        elif self._phase is _Phase.IDLE and not self._is_answering():  # empty lines; uvicorn's own timer is off now
            self._deadline = min(self._deadline, self.loop.time() + self._limits.http_head_seconds)

    def _out_of_time(self) -> None:
        if self._refused:
            self._deadline = math.inf
            self.transport.close()
        elif self.flow.read_paused:  # we are the slow ones
            self._deadline = self.loop.time() + self._phase_seconds[self._phase]
        elif self._phase is _Phase.IDLE:
            self._deadline = math.inf
            if not self._is_answering():  # when stopping, an answer in hand is still finished
                self.transport.close()
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "the request did not arrive in time")

    def _is_answering(self) -> bool:
        latest: RequestResponseCycle | None = self.cycle
        return latest is not None and not latest.response_complete

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        """Closes the connection: with an answer, or after those to earlier requests, as whose it could be taken."""
        self._refused = True
        self._phase_bytes = 0
        self._deadline = self.loop.time() + LINGER_SECONDS
        count_refusal(status)
        log.info("connection refused", status=status.value, reason=reason)
        answering = self._is_answering()
        if answering and self._phase is not _Phase.BODY:
            self._last_words = _plain_answer(status, reason)
            self._deadline = math.inf
            return
        may_answer = not (self.cycle.response_started or self.pipeline) if answering else self._phase is not _Phase.BODY
        if answering:
            _disconnect(self.cycle)
        if may_answer:
            self._say_why(_plain_answer(status, reason))
        elif not self.pipeline:
            self.transport.close()

    def _say_why(self, answer: bytes) -> None:
        """Closed at once, with something of the client's unread, TCP would take the answer back."""
        self._last_words = b""
        self._deadline = self.loop.time() + LINGER_SECONDS
        self.transport.write(answer)
        self.transport.write_eof()


def _disconnect(cycle: RequestResponseCycle) -> None:
    """Tells the application that its client is gone."""
    cycle.disconnected = True
    cycle.message_event.set()


def _keep_little_unsent(transport: asyncio.Transport) -> None:
    """Otherwise the kernel takes up to megabytes for a client that does not read, and it does not show when one does."""
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_IN_KERNEL_MAX)


def _bad_request(reason: str) -> _RefusedError:
    return _RefusedError(HTTPStatus.BAD_REQUEST, reason)


def _plain_answer(status: HTTPStatus, reason: str, *headers: str) -> bytes:
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        "content-type: text/plain; charset=utf-8",
        f"content-length: {len(reason)}",
        "connection: close",
        *headers,
    ]
    return "\r\n".join([*lines, "", reason]).encode()
