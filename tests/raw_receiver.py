"""A receiver of webhooks that sends bytes as a test says, and keeps those that it was sent."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import NamedTuple

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Asked(NamedTuple):
    """A request, and the number of the connection it came on, from 0."""

    connection: int
    head: str
    body: bytes

    @property
    def target(self) -> str:
        """The request's target as it came, byte for byte."""
        return self.head.split(" ")[1]

    def header(self, name: str) -> str | None:
        """The value of the first header with this name."""
        for line in self.head.split("\r\n")[1:]:
            found, _, value = line.partition(":")
            if found.lower() == name.lower():
                return value.strip()
        return None


class Answer(NamedTuple):
    """`parts` are sent one after the other, each when the other side has had time to read the one before."""

    parts: tuple[bytes, ...]
    closes: bool = False


@dataclass
class RawReceiver:
    """`answer` may be replaced at any time; `asked` is everything that came, in order."""

    answer: Callable[[Asked], Answer]
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def always(*parts: bytes, closes: bool = False) -> Callable[[Asked], Answer]:
    return lambda _asked: Answer(parts, closes)


@asynccontextmanager
async def raw_receiver(
    answer: Callable[[Asked], Answer], *, host: str = "127.0.0.1", port: int = 0, tls: SSLContext | None = None
) -> AsyncIterator[RawReceiver]:
    receiver = RawReceiver(answer)
    writers = set[asyncio.StreamWriter]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number, receiver.connections = receiver.connections, receiver.connections + 1
        writers.add(writer)
        with suppress(OSError, EOFError):
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                asked = Asked(number, head, b"")
                asked = asked._replace(body=await reader.readexactly(int(asked.header("Content-Length") or 0)))
                receiver.asked.append(asked)
                answer = receiver.answer(asked)
                for part in answer.parts:
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0)
                if answer.closes:
                    writer.close()

    server = await asyncio.start_server(serve, host, port, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for writer in writers:
            writer.close()
        for writer in writers:  # else a writer that is collected before it is closed fails the test that runs then
            with suppress(OSError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), 1)
        await server.wait_closed()
