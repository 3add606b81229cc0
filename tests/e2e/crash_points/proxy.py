"""A proxy that can stop the world at any step of whoever speaks through it."""

import asyncio
from asyncio import StreamReader, StreamWriter
from contextlib import suppress
from typing import Any, Literal, NamedTuple

from tests.e2e.crash_points.steps import Language, Step

# unheard: it was done, and whoever asked for it dies before hearing so.
# late: whoever asked for it dies before it arrives, and it arrives when the next one is at work.
Moment = Literal["unheard", "late"]


class Point(NamedTuple):
    """A place to die at: the n-th step of this name, counted from 1."""

    name: str
    number: int
    moment: Moment


class Gate:
    """What all connections of one process go through. From the moment that its point is reached, nothing passes."""

    def __init__(self) -> None:
        self.in_flight: set[asyncio.Task[Any] | None] = set()  # connections in the midst of a step
        self.arm(None)

    def arm(self, point: Point | None) -> None:
        self.passed: list[Step] = []
        self.reached = asyncio.Event()
        self.has_arrived = asyncio.Event()  # what was to be late
        self.late: asyncio.Task[Any] | None = None
        self._released = asyncio.Event()
        self._point = point

    def open(self) -> None:
        """Lets everything of the next process pass."""
        self._point = None
        self.in_flight.clear()

    def release(self) -> None:
        """Has what is late arrive."""
        self._released.set()

    async def request(self, step: Step) -> None:
        await self._stand_still_if_reached()
        self.in_flight.add(asyncio.current_task())
        if self._point == (step.name, self._times(step) + 1, "late"):
            self.late = asyncio.current_task()
            self.reached.set()
            await self._released.wait()

    async def reply(self, step: Step, *, counts: bool) -> None:
        if asyncio.current_task() is self.late:
            self.has_arrived.set()
            return
        await self._stand_still_if_reached()
        self.in_flight.discard(asyncio.current_task())
        if counts:
            self.passed.append(step)
        if counts and self._point == (step.name, self._times(step), "unheard"):
            self.reached.set()
            await self._stand_still_if_reached()

    def _times(self, step: Step) -> int:
        return sum(passed.name == step.name for passed in self.passed)

    async def _stand_still_if_reached(self) -> None:
        if self._point and self.reached.is_set():
            await asyncio.Event().wait()  # until its connection is dropped


class Proxy:
    """Between whoever connects to `port` and the server at `target`."""

    def __init__(self, language: Language, gate: Gate, target: tuple[str, int]) -> None:
        self._language = language
        self._gate = gate
        self._target = target
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], StreamWriter] = {}
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self.drop(all_of_them=True)

    async def drop(self, *, all_of_them: bool = False) -> None:
        """Ends the connections, as those of a process that has died; what is late is under way nevertheless."""
        ended = {one: writer for one, writer in self._connections.items() if all_of_them or one is not self._gate.late}
        for connection in ended:
            connection.cancel()
        await asyncio.gather(*ended, return_exceptions=True)
        for writer in ended.values():
            writer.close()  # again, because one that was cancelled before it began has closed nothing

    def _connected(self, reader: StreamReader, writer: StreamWriter) -> None:
        connection = asyncio.create_task(self._serve(reader, writer))
        self._connections[connection] = writer
        connection.add_done_callback(self._connections.pop)

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            try:
                server_reader, server_writer = await asyncio.open_connection(*self._target)
                try:
                    await self._converse(reader, writer, server_reader, server_writer)
                finally:
                    server_writer.close()
            finally:
                writer.close()

    async def _converse(
        self, reader: StreamReader, writer: StreamWriter, server_reader: StreamReader, server_writer: StreamWriter
    ) -> None:
        while True:
            request = await self._language.read(reader)
            step = self._language.step(request)
            if step:
                await self._gate.request(step)
            server_writer.write(request)
            if self._language.is_endless(request):
                await asyncio.gather(_pump(reader, server_writer), _pump(server_reader, writer))
                return
            reply = await self._language.read(server_reader)
            if step:
                await self._gate.reply(step, counts=self._language.is_step(step, reply))
            writer.write(reply)


async def _pump(reader: StreamReader, writer: StreamWriter) -> None:
    while chunk := await reader.read(65536):
        writer.write(chunk)
    writer.close()
