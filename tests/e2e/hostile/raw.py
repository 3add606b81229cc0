"""HTTP/1.1 over a socket by hand: whatever bytes a stranger may send. No HTTP library would send them."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.hostile.answers import Answer, Answers

HEAD_SECONDS_MIN = 1.0  # the least that a service of these tests waits for a new connection to send something


class Connection(Answers):
    """One TCP connection. It goes on reading when a write fails: who refuses a body in mid-way has answered before."""

    def __init__(self, connected: socket.socket) -> None:
        super().__init__()
        self._socket = connected

    @classmethod
    async def open(cls, port: int, *, receive_buffer: int | None = None) -> "Connection":
        """`receive_buffer` bounds how much the kernel takes in for us while we do not read, in bytes."""
        connecting = socket.socket()
        connecting.setblocking(False)
        if receive_buffer:
            connecting.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        await asyncio.get_running_loop().sock_connect(connecting, ("127.0.0.1", port))
        return cls(connecting)

    async def __aenter__(self) -> "Connection":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    async def send(self, data: bytes) -> bool:
        """Whether the other side still took it."""
        try:
            await asyncio.get_running_loop().sock_sendall(self._socket, data)
        except OSError:
            return False
        return True

    @asynccontextmanager
    async def sending(self, data: bytes) -> AsyncIterator[None]:
        """Sends for as long as the block runs, or until all is sent."""
        sending = asyncio.create_task(self.send(data))
        try:
            yield
        finally:
            sending.cancel()
            await asyncio.wait([sending])  # the socket's number may be another's as soon as it is closed

    async def _receive(self) -> bytes:
        try:
            return await asyncio.get_running_loop().sock_recv(self._socket, 65536)
        except OSError:
            return b""


async def begun(port: int, data: bytes) -> Connection:
    """A connection on which `data` was sent at once. If the test was held up in between, it begins anew."""
    while True:
        before = time.monotonic()
        connection = await Connection.open(port)
        await connection.send(data)
        if time.monotonic() - before < HEAD_SECONDS_MIN:
            return connection
        connection.close()


async def exchange(port: int, request: bytes) -> Answer:
    """The response to `request`, sent at once on a connection of its own."""
    async with await Connection.open(port) as connection, connection.sending(request):
        return await connection.answer(to_head=request.startswith(b"HEAD "))
