"""One connection: uvicorn's HTTP protocol, with deadlines for slow clients and bounds on what they send and leave unread.

The rules are in `arrival.py`, `head.py` and `unread.py`, and the answers to clients that break them in `refusals.py`.
"""

import asyncio
import math
from typing import Any

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from shared.edge import refusals
from shared.edge.arrival import Arrival, Phase
from shared.edge.head import head_bytes, refused_framing, strip_blanks, without_upgrade
from shared.edge.limits import BODY_WIRE_BYTES_MAX, HEAD_BYTES_MAX, PIPELINE_MAX, TARGET_BYTES_MAX, HttpLimits
from shared.edge.metrics import count_refusal
from shared.edge.refusals import Refusal
from shared.edge.unread import Reader, Unread, keep_little_unsent
from shared.telemetry import log

LINGER_SECONDS = 2.0  # how long a refused client may take to read why
STOPPING_SECONDS = 2.0  # how long a slow client may still take when the server stops


class _RefusedError(Exception):
    """Raised in a callback of the parser, with the Refusal: nothing more is parsed on this connection."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection. No timer runs for a request: `sweep` is called about once a second and looks at the deadlines."""

    _arrival: Arrival  # both are made with the connection
    _reader: Reader

    def __init__(self, limits: HttpLimits, unread: Unread, **given: Any) -> None:
        super().__init__(**given)
        self._limits = limits
        self._unread = unread
        self._refused = False
        self._bytes_after_refusal = 0
        self._last_words = b""  # why this connection ends, to be sent after the answers to earlier requests
        self._running: RequestResponseCycle | None = None  # the request that is being answered; others wait behind it
        self._held_back: tuple[RequestResponseCycle, ASGI3Application] | None = None  # until its client reads on
        self._stopping = False
        self._sends_no_more = False  # the client, which may have gone
        self._held: asyncio.Event | None = None  # set to end a hold early
        self._extensions = {"hold": self._hold, "hang_up": self._hang_up}  # for handlers

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._arrival = Arrival(self._limits, self.loop.time())
        self._reader = Reader(transport, self._limits.http_write_seconds, self.loop.time())
        keep_little_unsent(transport)
        self._unread.readers.add(self._reader)
        if len(self.connections) > self._limits.http_connections_max:
            count_refusal(refusals.TOO_MANY_CONNECTIONS.status)
            log.warning("connection refused", reason=refusals.TOO_MANY_CONNECTIONS.reason)
            transport.write(refusals.TOO_MANY_CONNECTIONS.answer("retry-after: 1"))
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unread.readers.discard(self._reader)
        # uvicorn tells only the latest request's application: one whose answer is due first would write to nobody.
        if self._running is not None and not self._running.response_complete:
            _disconnect(self._running)
        self._end_hold()

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        if self._refused:
            self._bytes_after_refusal += len(data)
            if self._bytes_after_refusal > BODY_WIRE_BYTES_MAX:
                self.transport.abort()
            return
        arrival = self._arrival
        arrival.begin_piece(len(data))
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(cause.args[0] if isinstance(cause, _RefusedError) else refusals.NOT_HTTP)
            return
        size = head_bytes(self.url, self.headers) if arrival.has_begun_head else 0
        arrival.end_piece(self.loop.time(), head_bytes=size, is_answering=self._is_answering())
        if arrival.is_too_large:
            head = refusals.HEAD_TOO_LARGE if self.headers else refusals.TARGET_TOO_LONG
            self._refuse(head if arrival.phase is Phase.HEAD else refusals.BODY_TOO_LARGE)

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more, but may still read. So whole requests are answered, and a stream ends. Returns whether
        the connection stays open for that.
        """
        self._sends_no_more = True
        self._end_hold()
        if self._arrival.phase is Phase.BODY or not self._is_answering() or self.cycle.response_started:
            return False
        if not self._last_words:
            self.cycle.keep_alive = False
        return True

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reader.note_full(self.loop.time())
        self._unread.look_soon()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._held_back:
            waiting, self._held_back = self._held_back, None
            self.flow.resume_reading()
            self._start_asgi_task(*waiting)

    def _feed(self, data: bytes) -> None:
        """Parses. An offer to upgrade is ignored (RFC 9110 §7.8): llhttp would act as if it were accepted and skip the body.
        So a new parser reads the same head without the offer, and then the rest.
        """
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                method, version = self.parser.get_method(), self.parser.get_http_version()
                data = without_upgrade(method, self.url, version, self.headers) + data[offer.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            else:
                return

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._arrival.enter(Phase.HEAD)

    def on_headers_complete(self) -> None:
        if refusal := self._refused_head():
            raise _RefusedError(refusal)
        strip_blanks(self.headers)
        if self.parser.get_http_version() == "1.0":
            self.expect_100_continue = False  # RFC 9110 §10.1.1
        if self.parser.should_upgrade():
            return  # read again without the offer: _feed
        super().on_headers_complete()
        if self.expect_100_continue:  # answered without its body, which may then come or not: nothing else may follow
            self.cycle.keep_alive = False
        # Trailers would join the headers, which have been checked already: they go to a list that nobody reads.
        self.headers = []
        self._arrival.enter(Phase.BODY)

    def _refused_head(self) -> Refusal | None:
        if len(self.url) > TARGET_BYTES_MAX:
            return refusals.TARGET_TOO_LONG
        if self._arrival.may_be_large_head and head_bytes(self.url, self.headers) > HEAD_BYTES_MAX:
            return refusals.HEAD_TOO_LARGE
        if len(self.pipeline) >= PIPELINE_MAX:
            return refusals.TOO_MANY_PIPELINED
        return refused_framing(self.parser.get_method(), self.parser.get_http_version(), self.headers)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        super().on_message_complete()
        self._arrival.enter(Phase.IDLE)

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
        # uvicorn reads on. A client that only sends could then queue up any number of requests.
        if self.pipeline or self._held_back:
            self.flow.pause_reading()

    def shutdown(self) -> None:
        """The server stops. Requests in hand are finished, unless the client keeps them waiting; a stream ends."""
        super().shutdown()
        self._stopping = True
        self._end_hold()
        if self._is_answering() and self.cycle.response_started:
            _disconnect(self.cycle)
            self.transport.close()
        self._arrival.deadline = min(self._arrival.deadline, self.loop.time() + STOPPING_SECONDS)
        self._reader.patience_seconds = min(self._reader.patience_seconds, STOPPING_SECONDS)

    def sweep(self, now: float) -> None:
        """Ends the connection of a client that takes too long to send, or to read its answers."""
        if now >= self._arrival.deadline:
            self._out_of_time(now)
        self._reader.sweep(now)

    def _out_of_time(self, now: float) -> None:
        if self._refused:
            self._arrival.deadline = math.inf
            self.transport.close()
        elif self.flow.read_paused:  # we are the slow ones
            self._arrival.renew_deadline(now)
        elif self._arrival.phase is Phase.IDLE:
            self._arrival.deadline = math.inf
            if not self._is_answering():  # when stopping, an answer in hand is still finished
                self.transport.close()
        else:
            self._refuse(refusals.TOO_SLOW)

    def _is_answering(self) -> bool:
        latest: RequestResponseCycle | None = self.cycle
        return latest is not None and not latest.response_complete

    def _refuse(self, refusal: Refusal) -> None:
        """Ends the connection. The client is told why, unless it could take that for the answer to an earlier request. Those
        that have arrived are answered first.
        """
        self._refused = True
        self._arrival.deadline = self.loop.time() + LINGER_SECONDS
        count_refusal(refusal.status)
        log.info("connection refused", status=refusal.status.value, reason=refusal.reason)
        answering, is_body = self._is_answering(), self._arrival.phase is Phase.BODY
        if answering and not is_body:
            self._last_words = refusal.answer()
            self._arrival.deadline = math.inf
            return
        may_answer = not (self.cycle.response_started or self.pipeline) if answering else not is_body
        if answering:
            _disconnect(self.cycle)
        if may_answer:
            self._say_why(refusal.answer())
        elif not self.pipeline:
            self.transport.close()

    def _say_why(self, answer: bytes) -> None:
        """Goes on reading for a while: TCP discards the answer if we close while bytes of the client are unread."""
        self._last_words = b""
        self._arrival.deadline = self.loop.time() + LINGER_SECONDS
        self.transport.write(answer)
        self.transport.write_eof()

    async def _hold(self, seconds: float) -> bool:
        """For handlers: waits. False, at once or early, if the client has gone or sends no more, or if the server stops."""
        if self._stopping or self._sends_no_more or self.transport.is_closing():
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
        """For handlers: closes the connection after the answers to earlier requests. This one gets no answer."""
        assert self._running is not None
        self._running.disconnected = True
        self.transport.close()


def _disconnect(cycle: RequestResponseCycle) -> None:
    """Tells the application that its client is gone."""
    cycle.disconnected = True
    cycle.message_event.set()
