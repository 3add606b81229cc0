"""The server, and a client of it on a raw connection."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import uvicorn
from litestar.types import Receive, Scope, Send

from shared.edge.limits import HttpLimits
from shared.edge.protocol import BoundedProtocol
from shared.edge.server import BoundedServer
from shared.edge.unread import Unread
from tests.waiting import until

LARGE = 8 * 1024 * 1024
SOME = 48 * 1024  # less than a connection's buffer
HEAD = b"Host: here\r\n"
GET = b"GET / HTTP/1.1\r\n" + HEAD + b"\r\n"
PATIENT = HttpLimits(http_head_seconds=60, http_body_seconds=60, http_write_seconds=60)


class Answering:
    """Answers every request with the size of its body, `/large` with LARGE bytes, `/stream` without end, `/held` when it is
    told to, `/later` when it is told to and has then held the answer back for a minute.
    """

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.begun = 0
        self.cut_off = 0
        self.holds = 0
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
        if scope["path"] in {"/held", "/later"}:
            await self.release.wait()
        if scope["path"] == "/later":
            self.holds += 1
            hold: Any = scope["extensions"]["hold"]  # type: ignore[index]
            await hold(60)
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
