"""Either service within this process: its server's protocol and its application, but no socket and no database.

What needs the database is answered 503. So a request that is refused for another reason has looked up and stored nothing.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from shared.edge.protocol import BoundedProtocol
from tests.hostile.answers import Answer, Answers
from tests.hostile.requests import Case, Requests

PIECE_BYTES = 65536  # how much a socket hands over at once


class _NoSocket:
    """What the protocol asks of a connection's socket."""

    def getsockname(self) -> tuple[str, int]:
        return "127.0.0.1", 80

    def getpeername(self) -> tuple[str, int]:
        return "127.0.0.1", 50000

    def setsockopt(self, *_: Any) -> None:
        pass


class _Transport(asyncio.Transport):
    """What is written can be awaited at once, and no byte waits to be sent."""

    def __init__(self) -> None:
        super().__init__({"socket": _NoSocket()})
        self.written: asyncio.Queue[bytes] = asyncio.Queue()
        self.reading = asyncio.Event()
        self.reading.set()
        self._closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.put_nowait(bytes(data))

    def write_eof(self) -> None:
        self.written.put_nowait(b"")

    def close(self) -> None:
        self._closing = True
        self.reading.set()
        self.written.put_nowait(b"")

    abort = close

    def is_closing(self) -> bool:
        return self._closing

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self.reading.clear()

    def resume_reading(self) -> None:
        self.reading.set()


class Connection(Answers):
    """One connection to a protocol in this process."""

    def __init__(self, protocol: BoundedProtocol) -> None:
        super().__init__()
        self._protocol = protocol
        self._transport = _Transport()
        protocol.connection_made(self._transport)

    async def __aenter__(self) -> "Connection":
        return self

    async def __aexit__(self, *_: object) -> None:
        self._protocol.connection_lost(None)

    async def send(self, data: bytes) -> None:
        """Hands it over piece by piece, as a socket would, until all is taken or the connection ends."""
        for start in range(0, len(data), PIECE_BYTES):
            await self._transport.reading.wait()
            if self._transport.is_closing():
                break
            self._protocol.data_received(data[start : start + PIECE_BYTES])

    async def _receive(self) -> bytes:
        return await self._transport.written.get()


@dataclass(frozen=True)
class InProcess(Requests):
    """`connect` makes the protocol of one more connection."""

    connect: Callable[[], BoundedProtocol]

    async def exchange(self, request: bytes) -> Answer:
        """The response to `request`, sent at once on a connection of its own."""
        async with Connection(self.connect()) as connection:
            await connection.send(request)
            return await connection.answer(to_head=request.startswith(b"HEAD "))

    async def expect(self, case: Case, sent: bytes) -> Answer:
        """The answer, which is what the case says. The next request is served."""
        answer = await self.exchange(sent)
        assert (answer.status, answer.problem) == (case.status, case.problem), answer
        await self.assert_serving()
        return answer

    async def assert_serving(self) -> None:
        answer = await self.exchange(self.get("/health/live"))
        assert answer.status == 200, answer
