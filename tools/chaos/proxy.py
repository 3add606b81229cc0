"""A TCP proxy for one target, whose links can be broken one by one and in each direction."""

import asyncio
import random
import socket
import struct
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from tools.chaos.links import Direction, Link

HELD_BYTES_MAX = 16 * 1024 * 1024  # of one direction of a connection; one that would hold more is reset
FLOOD_BYTES = 64 * 1024  # written at once, each FLOOD_SECONDS
FLOOD_SECONDS = 0.005
_INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n" * (FLOOD_BYTES // 25)
_CLOSED = None  # in place of bytes: the sender has closed
_NO_LINGER = struct.pack("ii", 1, 0)  # close() then sends RST

SourceOf = Callable[[int], str]  # a process, by the port that it connects from


class Proxy:
    """Listens on 127.0.0.1 and passes each connection on to the first of `upstreams` that takes it, beginning at another
    one each time.
    """

    def __init__(self, upstreams: Sequence[int], *, source_of: SourceOf, seed: int = 0) -> None:
        self.port = 0
        self.random = random.Random(seed)
        self._upstreams = deque(upstreams)
        self._source_of = source_of
        self._links: dict[str, Link] = {}
        self._server: asyncio.Server | None = None
        self._opening: set[asyncio.Task[None]] = set()

    @property
    def links(self) -> Mapping[str, Link]:
        return self._links

    def link(self, source: str) -> Link:
        return self._links.setdefault(source, Link())

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Pair(self).client, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server:
            self._server.close()
        for opening in self._opening:
            opening.cancel()
        self.heal()
        for link in self._links.values():
            link.reset()

    def heal(self) -> None:
        for link in self._links.values():
            link.heal()

    def link_of(self, peer: tuple[str, int]) -> Link:
        return self.link(self._source_of(peer[1]))

    def open(self, pair: "_Pair") -> None:
        task = asyncio.create_task(self._open(pair))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, pair: "_Pair") -> None:
        loop = asyncio.get_running_loop()
        self._upstreams.rotate(-1)
        for port in list(self._upstreams):
            try:
                await loop.create_connection(lambda: pair.target, "127.0.0.1", port)
            except OSError:
                continue
            return
        pair.reset()  # as if nobody listened here either


class _Pair:
    """The two ends of one connection through the proxy."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self.link = Link()
        self.client = _End(self, "requests")
        self.target = _End(self, "replies")

    def other(self, end: "_End") -> "_End":
        return self.target if end is self.client else self.client

    def flush(self) -> None:
        self.client.flush()
        self.target.flush()

    def reset(self) -> None:
        for end in (self.client, self.target):
            end.drop()
            end.abort()

    def forget_if_over(self) -> None:
        if self.client.closed and self.target.closed:
            self.link.connections.discard(self)


class _End(asyncio.Protocol):
    """One end. What comes in here is held as long as the link holds it, then goes out at the other."""

    def __init__(self, pair: _Pair, direction: Direction) -> None:
        self.transport: asyncio.Transport | None = None
        self._pair = pair
        self._direction: Direction = direction
        self._held: deque[tuple[float, bytes | None]] = deque()  # when it came, and what
        self._held_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def closed(self) -> bool:
        return self.transport is None or self.transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        pair = self._pair
        if self is pair.client:
            pair.link = pair.proxy.link_of(transport.get_extra_info("peername"))
            if pair.link.refuses:
                self.abort()
                return
            pair.link.connections.add(pair)
            pair.proxy.open(pair)
        elif pair.client.closed:  # it did not wait
            self.transport.abort()
        else:
            pair.client.flush()

    def data_received(self, data: bytes) -> None:
        loss = self._pair.link.way(self._direction).loss
        if loss and self._pair.proxy.random.random() < loss:
            self._pair.reset()
            return
        if self is self._pair.client:
            self._flood()
        self._hold(data)
        if self._held_bytes > HELD_BYTES_MAX:
            self._pair.reset()

    def connection_lost(self, error: Exception | None) -> None:
        pair = self._pair
        other = pair.other(self)
        other.drop()  # there is nobody to take it
        if self is pair.client:
            self.drop()  # and nobody who still waits for the answer
        self._hold(_CLOSED)
        pair.forget_if_over()

    def pause_writing(self) -> None:
        if transport := self._pair.other(self).transport:
            transport.pause_reading()

    def resume_writing(self) -> None:
        transport = self._pair.other(self).transport
        if transport and not transport.is_closing():
            transport.resume_reading()

    def _hold(self, data: bytes | None) -> None:
        self._held.append((asyncio.get_running_loop().time(), data))
        self._held_bytes += len(data or b"")
        self.flush()

    def flush(self) -> None:
        """Passes on what need not be held any longer."""
        out = self._pair.other(self).transport
        if out is None:  # not connected yet
            return
        if out.is_closing():
            self.drop()
        loop = asyncio.get_running_loop()
        way = self._pair.link.way(self._direction)
        while self._held and not way.silent:
            came, data = self._held[0]
            if (due := came + way.delay_seconds) > loop.time():
                self._flush_at(due)
                return
            self._held.popleft()
            self._held_bytes -= len(data or b"")
            if data is _CLOSED:
                out.close()
                self._pair.forget_if_over()
            else:
                out.write(data)

    def _flood(self) -> None:
        """Answers the client without end, as long as its link has that."""
        if self._pair.link.way("replies").flood and self.transport and not self.closed:
            if self.transport.get_write_buffer_size() < FLOOD_BYTES:
                self.transport.write(_INTERIM)
            asyncio.get_running_loop().call_later(FLOOD_SECONDS, self._flood)

    def drop(self) -> None:
        """Forgets what is held."""
        self._held.clear()
        self._held_bytes = 0

    def _flush_at(self, due: float) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(due, self.flush)

    def abort(self) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.transport.abort()
