"""The server as a client on a raw connection meets it, good or bad."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest
import uvicorn
from litestar.types import Receive, Scope, Send

from shared.edge.limits import HEAD_BYTES_MAX, PIPELINE_MAX, TARGET_BYTES_MAX, UNREAD_BYTES_MAX, HttpLimits
from shared.edge.protocol import STOPPING_SECONDS, BoundedProtocol
from shared.edge.server import BoundedServer
from shared.edge.unread import Unread
from tests.waiting import until

LARGE = 8 * 1024 * 1024
SOME = 48 * 1024  # less than a connection's buffer
HEAD = b"Host: here\r\n"
GET = b"GET / HTTP/1.1\r\n" + HEAD + b"\r\n"
PATIENT = HttpLimits(http_head_seconds=60, http_body_seconds=60, http_write_seconds=60)


class Answering:
    """Answers every request with the size of its body, `/large` with LARGE bytes, `/stream` without end, `/held`
    when it is told to.
    """

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.begun = 0
        self.cut_off = 0
        self.streams = 0
        self.release = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.begun += 1
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.cut_off += 1
                return
            body += message["body"]  # type: ignore[typeddict-item]
            if not message["more_body"]:  # type: ignore[typeddict-item]
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.seen.append((scope["path"], headers))
        if scope["path"] == "/held":
            await self.release.wait()
        if scope["path"] == "/stream":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"first", "more_body": True})
            self.streams += 1
            assert (await receive())["type"] == "http.disconnect"
            self.streams -= 1
            return
        lengths = {"/large": LARGE, "/some": SOME}
        length_of = lengths.get(scope["path"])
        answer = b"x" * length_of if length_of else str(len(body)).encode()
        length = (b"content-length", str(len(answer)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": answer, "more_body": False})


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def answer(self) -> tuple[int, bytes]:
        """The next answer's status and body."""
        head = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), 10)
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return int(head.split()[1]), await asyncio.wait_for(self._reader.readexactly(length), 10)

    async def rest(self) -> bytes:
        """Everything until the server closes."""
        try:
            return await asyncio.wait_for(self._reader.read(), 10)
        except ConnectionError:
            return b""

    async def end(self) -> None:
        """Sends no more, and goes on reading."""
        self._writer.write_eof()

    async def close(self) -> None:
        self._writer.close()


class Running:
    def __init__(self, server: BoundedServer, app: Answering, unread: Unread) -> None:
        self.server = server
        self.unread = unread
        self.app = app
        self._opened: list[Connection] = []

    async def connect(self, *, receive_buffer: int | None = None) -> Connection:
        """`receive_buffer` bounds how many bytes the kernel takes in for us, and asyncio, while we do not read."""
        [listener] = self.server.servers
        connecting = socket.socket()
        if receive_buffer:
            connecting.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connecting.connect(listener.sockets[0].getsockname())
        opened = asyncio.open_connection(sock=connecting, limit=receive_buffer or 2**16)
        connection = Connection(*await opened)
        self._opened.append(connection)
        return connection

    async def ask(self, data: bytes) -> tuple[int, bytes]:
        connection = await self.connect()
        await connection.send(data)
        return await connection.answer()

    async def stop(self) -> None:
        self.server.should_exit = True
        for connection in self._opened:
            await connection.close()


async def soon(condition: Callable[[], bool], what: str) -> None:
    async def holds() -> bool:
        return condition()

    await until(holds, what, seconds=20)


@asynccontextmanager
async def serving(limits: HttpLimits = PATIENT) -> AsyncIterator[Running]:
    app = Answering()
    unread = Unread()
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        http=partial(BoundedProtocol, limits, unread),  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=15,
    )
    server = BoundedServer(config, limits, unread)
    task = asyncio.create_task(server._serve())
    await soon(lambda: server.started, "the server runs")
    running = Running(server, app, unread)
    try:
        yield running
    finally:
        await running.stop()
        await task


async def test_requests_on_one_connection_are_answered_in_order() -> None:
    async with serving() as running:
        connection = await running.connect()
        await connection.send(GET * 3)
        await connection.send(b"POST / HTTP/1.1\r\n" + HEAD + b"Content-Length: 5\r\n\r\nhello" + GET)
        answers = [await connection.answer() for _ in range(5)]
        assert answers == [(200, b"0")] * 3 + [(200, b"5"), (200, b"0")]


async def test_a_request_may_come_byte_by_byte() -> None:
    async with serving() as running:
        connection = await running.connect()
        for byte in b"POST / HTTP/1.1\r\n" + HEAD + b"Content-Length: 5\r\n\r\nhello":
            await connection.send(bytes([byte]))
        assert await connection.answer() == (200, b"5")


@pytest.mark.parametrize(
    ("begun", "says"),
    [
        (b"", b""),
        (b"GET / HT", b"408"),
        (b"GET / HTTP/1.1\r\nHost: he", b"408"),
        (GET + b"GE", b"408"),
        (b"POST / HTTP/1.1\r\n" + HEAD + b"Content-Length: 5\r\n\r\nhell", b"408"),
        (b"POST / HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", b"408"),
    ],
    ids=["nothing", "request line", "headers", "a second request", "body", "chunks"],
)
async def test_a_client_that_does_not_go_on_is_cut_off(begun: bytes, says: bytes) -> None:
    async with serving(HttpLimits(http_head_seconds=0.3, http_body_seconds=0.3)) as running:
        connection = await running.connect()
        await connection.send(begun)
        assert says in await connection.rest()
        assert (await running.ask(GET))[0] == 200


async def test_a_client_that_drips_is_cut_off_as_well() -> None:
    async with serving(HttpLimits(http_head_seconds=0.5)) as running:
        connection = await running.connect()
        ended = asyncio.create_task(connection.rest())
        while not ended.done():
            try:
                await connection.send(b"X")
            except ConnectionError:
                break
            await asyncio.sleep(0.05)
        assert b"408" in await ended or running.app.begun == 0


async def test_empty_lines_do_not_keep_a_connection_open() -> None:
    async with serving(HttpLimits(http_head_seconds=0.3)) as running:
        connection = await running.connect()
        await connection.send(GET)
        await connection.answer()
        await connection.send(b"\r\n")
        assert await connection.rest() == b""


async def test_an_application_that_waits_for_a_body_is_told_that_none_will_come() -> None:
    async with serving(HttpLimits(http_body_seconds=0.3)) as running:
        connection = await running.connect()
        await connection.send(b"POST / HTTP/1.1\r\n" + HEAD + b"Content-Length: 5\r\n\r\nhell")
        await soon(lambda: running.app.cut_off == 1, "the application is told")


async def test_a_reader_that_never_reads_is_cut_off_and_holds_up_nobody() -> None:
    async with serving(HttpLimits(http_write_seconds=0.5)) as running:
        connection = await running.connect()
        await connection.send(b"GET /large HTTP/1.1\r\n" + HEAD + b"\r\n")
        await soon(lambda: len(running.app.seen) == 1, "the request is seen")
        assert await running.ask(GET) == (200, b"0")
        await soon(lambda: len(running.server.server_state.connections) == 1, "the connection is closed")
        assert len(await connection.rest()) < LARGE


async def test_a_reader_that_reads_slowly_gets_everything() -> None:
    async with serving(HttpLimits(http_write_seconds=1)) as running:
        connection = await running.connect()
        await connection.send(b"GET /large HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n\r\n")
        received = 0
        while piece := await connection._reader.read(256 * 1024):
            received += len(piece)
            await asyncio.sleep(0.05)
        assert received > LARGE


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /" + b"x" * TARGET_BYTES_MAX + b" HTTP/1.1\r\n" + HEAD + b"\r\n", 414),
        (b"GET /" + b"x" * 1_000_000, 414),
        (b"GET / HTTP/1.1\r\n" + HEAD + b"X: " + b"x" * HEAD_BYTES_MAX + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + HEAD + b"X: x\r\n" * (HEAD_BYTES_MAX // 4), 431),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HEAD * 2 + b"\r\n", 400),
        (b"GET / HTTP/1.0\r\n\r\n", 200),
        (b"GET / HTTP/1.0\r\n" + HEAD * 2 + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HEAD + b"X: " + b"x" * (HEAD_BYTES_MAX - 100) + b"\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: user@here\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost: order_api.example:8000\r\n\r\n", 200),
        (b"GET / HTTP/2.0\r\n" + HEAD + b"\r\n", 400),
        (b"GET /\r\n" + HEAD + b"\r\n", 400),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
        (b"\x16\x03\x01", 400),
    ],
    ids=[
        "long target",
        "endless target",
        "huge header",
        "endless headers",
        "no Host",
        "two Hosts",
        "HTTP/1.0 without Host",
        "HTTP/1.0 with two",
        "large headers",
        "a blank in Host",
        "a user in Host",
        "an empty Host",
        "an address as Host",
        "a name as Host",
        "HTTP/2.0",
        "HTTP/0.9",
        "HTTP/1.0 in chunks",
        "compressed chunks",
        "TLS",
    ],
)
async def test_what_a_request_may_begin_with_is_bounded(request_bytes: bytes, status: int) -> None:
    async with serving() as running:
        assert (await running.ask(request_bytes))[0] == status


async def test_headers_in_many_pieces_are_counted_together() -> None:
    async with serving() as running:
        connection = await running.connect()
        await connection.send(b"GET / HTTP/1.1\r\n" + HEAD)
        for _ in range(40):
            await connection.send(b"X: " + b"x" * 995 + b"\r\n")
            await asyncio.sleep(0)
        assert (await connection.answer())[0] == 431


async def test_what_comes_after_the_body_is_no_header() -> None:
    async with serving() as running:
        await running.ask(
            b"POST / HTTP/1.1\r\n"
            + HEAD
            + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nAuthorization: x\r\n\r\n"
        )
        [(_, headers)] = running.app.seen
        assert set(headers) == {"host", "transfer-encoding"}


async def test_a_body_without_end_is_not_read_for_ever() -> None:
    async with serving() as running:
        connection = await running.connect()
        sending = b"POST / HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
        ended = asyncio.create_task(connection.rest())
        for _ in range(100):
            try:
                await connection.send(sending)
            except ConnectionError:
                break
            sending = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        await ended
        await soon(lambda: running.app.cut_off == 1, "the application is told")


async def test_a_pipeline_that_is_too_long_ends_with_an_answer_that_says_why() -> None:
    async with serving() as running:
        connection = await running.connect()
        await connection.send(GET * 200)
        answers = [await connection.answer() for _ in range(PIPELINE_MAX + 2)]
        assert answers[:-1] == [(200, b"0")] * (PIPELINE_MAX + 1)
        assert answers[-1] == (429, f"more than {PIPELINE_MAX} pipelined requests".encode())
        assert await connection.rest() == b""


async def test_a_request_is_answered_although_its_client_sends_no_more() -> None:
    async with serving() as running:
        for sent, answers in (
            (b"POST /held HTTP/1.1\r\n" + HEAD + b"Content-Length: 5\r\n\r\nhello", [b"5"]),
            (b"GET /held HTTP/1.1\r\n" + HEAD + b"\r\n" + GET * 2, [b"0"] * 3),
            (b"GET /held HTTP/1.1\r\n" + HEAD + b"\r\nGET / HT", [b"0"]),
        ):
            running.app.release.clear()
            begun = running.app.begun
            connection = await running.connect()
            await connection.send(sent)
            await connection.end()
            await soon(lambda begun=begun: running.app.begun > begun, "it is at work")  # type: ignore[misc]
            running.app.release.set()
            assert [await connection.answer() for _ in answers] == [(200, body) for body in answers]
            assert await connection.rest() == b""


async def test_half_a_request_is_not_waited_for_when_its_client_sends_no_more() -> None:
    async with serving() as running:
        for sent in (b"", b"GET / HT", b"POST / HTTP/1.1\r\n" + HEAD + b"Content-Length: 5\r\n\r\nhell"):
            connection = await running.connect()
            await connection.send(sent)
            await connection.end()
            assert await connection.rest() == b""


async def test_a_stream_ends_when_its_client_goes() -> None:
    async with serving() as running:
        connection = await running.connect()
        await connection.send(b"GET /stream HTTP/1.1\r\n" + HEAD + b"\r\n")
        await soon(lambda: running.app.streams == 1, "it runs")
        await connection.end()
        await soon(lambda: running.app.streams == 0, "it has ended")


async def test_http_1_0_is_not_told_to_continue() -> None:
    """RFC 9110 §10.1.1: it would take that for the answer."""
    async with serving() as running:
        connection = await running.connect()
        await connection.send(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello")
        assert await connection.answer() == (200, b"5")


async def test_nothing_is_done_for_a_client_that_leaves_answers_unread() -> None:
    async with serving() as running:
        connection = await running.connect(receive_buffer=4096)
        await connection.send(b"GET /large HTTP/1.1\r\n" + HEAD + b"\r\n" + GET)
        await soon(lambda: running.app.begun == 1, "the first is answered")
        assert (await running.ask(GET)) == (200, b"0")
        assert running.app.begun == 2  # that one, and not the one behind the answer that nobody reads
        assert await connection.answer() == (200, b"x" * LARGE)
        assert await connection.answer() == (200, b"0")


async def test_clients_that_leave_too_much_unread_are_cut_off_and_not_the_one_that_reads() -> None:
    large = b"GET /large HTTP/1.1\r\n" + HEAD + b"\r\n"
    async with serving() as running:
        deaf = UNREAD_BYTES_MAX // LARGE - 1
        for _ in range(deaf):
            await (await running.connect(receive_buffer=4096)).send(large)
        await soon(lambda: running.app.begun == deaf, "all are answered")
        assert (await running.ask(large)) == (200, b"x" * LARGE)
        for _ in range(4):
            await (await running.connect(receive_buffer=4096)).send(large)
            assert (await running.ask(large)) == (200, b"x" * LARGE)
        connections = running.server.server_state.connections
        await soon(lambda: 0 < running.unread.bytes() <= UNREAD_BYTES_MAX, "some are cut off")
        assert len(connections) < deaf + 4 + 5
        assert (await running.ask(GET)) == (200, b"0")


async def test_what_only_the_kernel_holds_counts_as_unread() -> None:
    async with serving() as running:
        connection = await running.connect(receive_buffer=4096)
        await connection.send(b"GET /some HTTP/1.1\r\n" + HEAD + b"\r\n")
        await soon(lambda: running.app.begun == 1, "it is answered")
        await soon(lambda: running.unread.bytes() > SOME // 2, "the kernel holds most of it")
        assert await connection.answer() == (200, b"x" * SOME)
        await soon(lambda: running.unread.bytes() == 0, "it is read")


async def test_a_client_that_sends_too_many_requests_and_no_more_is_told_why() -> None:
    async with serving() as running:
        connection = await running.connect()
        await connection.send(GET * 200)
        await connection.end()
        answers = [await connection.answer() for _ in range(PIPELINE_MAX + 2)]
        assert answers[-1][0] == 429
        assert await connection.rest() == b""


async def test_of_too_many_pipelined_requests_the_first_are_answered() -> None:
    async with serving() as running:
        connection = await running.connect()
        await connection.send(GET * 200)
        assert (await connection.rest()).count(b"200 OK") == running.app.begun == PIPELINE_MAX + 1


async def test_a_client_that_only_sends_does_not_queue_up_requests_without_end() -> None:
    async with serving() as running:
        connection = await running.connect()
        for _ in range(200):
            await connection.send(b"GET /large HTTP/1.1\r\n" + HEAD + b"\r\n")
            await asyncio.sleep(0)
        [served] = running.server.server_state.connections
        assert isinstance(served, BoundedProtocol)
        assert len(served.pipeline) <= PIPELINE_MAX


async def test_garbage_behind_a_request_is_answered_after_it() -> None:
    async with serving() as running:
        connection = await running.connect()
        await connection.send(b"GET /held HTTP/1.1\r\n" + HEAD + b"\r\n" + b"garbage\r\n\r\n")
        await soon(lambda: running.app.begun == 1, "the first is at work")
        running.app.release.set()
        assert await connection.answer() == (200, b"0")
        assert await connection.answer() == (400, b"not a valid HTTP request")
        assert await connection.rest() == b""


async def test_blanks_around_a_value_are_not_part_of_it() -> None:
    async with serving() as running:
        await running.ask(b"GET / HTTP/1.1\r\n" + HEAD + b"X-Signature: \t t=1 \t\r\n\r\n")
        [(_, headers)] = running.app.seen
        assert headers["x-signature"] == "t=1"


async def test_beyond_the_connections_it_takes_it_says_when_to_come_again() -> None:
    async with serving(HttpLimits(http_connections_max=2)) as running:
        first = await running.connect()
        await running.connect()
        await soon(lambda: len(running.server.server_state.connections) == 2, "both are connected")
        refused = await (await running.connect()).rest()
        assert b"503" in refused
        assert b"retry-after: 1" in refused
        await first.close()
        await soon(lambda: len(running.server.server_state.connections) < 2, "one is closed")
        assert (await running.ask(GET))[0] == 200


OFFER = HEAD + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"


@pytest.mark.parametrize("pieces", [1, 2, 50])
async def test_an_offer_to_speak_another_protocol_is_ignored_and_the_body_is_not(pieces: int) -> None:
    """Java's HttpClient makes it with every request."""
    post = b"POST / HTTP/1.1\r\n" + OFFER + b"Content-Length: 5\r\n\r\nhello"
    chunked = b"POST / HTTP/1.1\r\n" + OFFER + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n0\r\n\r\n"
    sent = post + chunked + b"GET / HTTP/1.1\r\n" + OFFER + b"\r\n" + GET
    async with serving() as running:
        connection = await running.connect()
        size = -(-len(sent) // pieces)
        for start in range(0, len(sent), size):
            await connection.send(sent[start : start + size])
            await asyncio.sleep(0)
        answers = [await connection.answer() for _ in range(4)]
        assert answers == [(200, b"5"), (200, b"3"), (200, b"0"), (200, b"0")]
        assert all("upgrade" not in headers for _, headers in running.app.seen)


async def test_a_body_is_never_taken_for_a_request() -> None:
    hidden = b"GET /hidden HTTP/1.1\r\n" + HEAD + b"\r\n"
    length = f"Content-Length: {len(hidden)}\r\n\r\n".encode()
    async with serving() as running:
        assert (await running.ask(b"POST / HTTP/1.1\r\n" + OFFER + length + hidden))[1] == str(len(hidden)).encode()
        assert [path for path, _ in running.app.seen] == ["/"]


async def test_it_is_no_proxy() -> None:
    async with serving() as running:
        assert (await running.ask(b"CONNECT here:80 HTTP/1.1\r\n" + HEAD + b"\r\n"))[0] == 400


async def test_after_an_expectation_nothing_else_follows_on_the_connection() -> None:
    """Answered early, the client may leave the body out: what comes next would be taken for it. RFC 9110 §10.1.1"""
    async with serving() as running:
        connection = await running.connect()
        await connection.send(b"POST / HTTP/1.1\r\n" + HEAD + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        await connection.send(b"hello")
        assert (await connection.rest()).startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


async def test_a_body_that_comes_slowly_but_steadily_is_waited_for() -> None:
    async with serving(HttpLimits(http_body_seconds=0.3)) as running:
        connection = await running.connect()
        await connection.send(b"POST / HTTP/1.1\r\n" + HEAD + b"Content-Length: 8192\r\n\r\n")
        for _ in range(16):
            await connection.send(b"x" * 512)
            await asyncio.sleep(0.05)
        assert await connection.answer() == (200, b"8192")


async def test_open_streams_end_when_the_server_stops() -> None:
    async with serving() as running:
        connection = await running.connect()
        await connection.send(b"GET /stream HTTP/1.1\r\n" + HEAD + b"\r\n")
        await soon(lambda: running.app.streams == 1, "the stream is open")
        running.server.should_exit = True
        assert b"first" in await connection.rest()
        assert running.app.streams == 0


async def test_what_is_in_hand_is_answered_although_the_server_stops() -> None:
    async with serving() as running:
        connection = await running.connect()
        await connection.send(b"GET /held HTTP/1.1\r\n" + HEAD + b"\r\n")
        await soon(lambda: running.app.begun == 1, "the request is at work")
        running.server.should_exit = True
        await asyncio.sleep(STOPPING_SECONDS + 1)  # longer than a client would be given
        running.app.release.set()
        assert b"200 OK" in await connection.rest()


async def test_it_stops_although_clients_hold_on() -> None:
    async with serving() as running:
        waiting = [await running.connect() for _ in range(4)]
        await waiting[0].send(b"GET / HT")
        await waiting[1].send(b"POST / HTTP/1.1\r\n" + HEAD + b"Content-Length: 5\r\n\r\nhell")
        await waiting[2].send(b"GET /large HTTP/1.1\r\n" + HEAD + b"\r\n")
        await soon(lambda: running.app.begun == 2, "two requests are at work")
        running.server.should_exit = True
        await soon(lambda: not running.server.server_state.connections, "all are closed")
        assert not running.server.server_state.tasks
