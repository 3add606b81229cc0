"""HTTP/1.1 read by hand: what came back, however little an HTTP library might make of it."""

import asyncio
import json
from abc import ABC, abstractmethod
from typing import Any, NamedTuple

ANSWER_SECONDS = 30.0


class Answer(NamedTuple):
    """One response. Header names are in lower case; of repeated ones the values are joined by commas."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> str:
        """The slug of the problem document; empty if it is none."""
        if self.headers.get("content-type") != "application/problem+json":
            return ""
        return str(self.json["type"]).removeprefix("/problems/")


class Answers(ABC):
    """The answers on one connection, over a socket or within this process."""

    def __init__(self) -> None:
        self._read = bytearray()
        self._ended = False

    @abstractmethod
    async def _receive(self) -> bytes:
        """The next bytes; none at the end."""

    async def answer(self, *, to_head: bool = False, seconds: float = ANSWER_SECONDS) -> Answer:
        """The next final response; interim ones are skipped. Raises EOFError if the connection ends before it does."""
        async with asyncio.timeout(seconds):
            while True:
                answer = await self._answer(to_head=to_head)
                if answer.status >= 200:
                    return answer

    async def is_closed(self, *, seconds: float = ANSWER_SECONDS) -> bool:
        """Whether the other side closes it, and sends nothing more before."""
        async with asyncio.timeout(seconds):
            await self._more()
        return self._ended and not self._read

    async def _answer(self, *, to_head: bool) -> Answer:
        head = (await self._until(b"\r\n\r\n")).decode("latin-1")
        status_line, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
        version, status, _ = status_line.split(" ", 2)
        assert version == "HTTP/1.1", head
        headers: dict[str, str] = {}
        for name, _, value in (line.partition(":") for line in lines):
            headers[name.lower()] = ", ".join(filter(None, (headers.get(name.lower()), value.strip())))
        return Answer(int(status), headers, await self._body(int(status), headers, to_head=to_head))

    async def _body(self, status: int, headers: dict[str, str], *, to_head: bool) -> bytes:
        if to_head or status < 200 or status in {204, 304}:
            return b""
        if headers.get("transfer-encoding") == "chunked":
            return await self._chunks()
        if "content-length" in headers:
            return await self._exactly(int(headers["content-length"]))
        while not self._ended:
            await self._more()
        return self._take(len(self._read))

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self._until(b"\r\n"), 16):
            body += await self._exactly(size)
            await self._exactly(2)
        await self._exactly(2)
        return body

    async def _until(self, end: bytes) -> bytes:
        while end not in self._read:
            await self._more_or_raise()
        return self._take(self._read.index(end) + len(end))

    async def _exactly(self, count: int) -> bytes:
        while len(self._read) < count:
            await self._more_or_raise()
        return self._take(count)

    async def _more_or_raise(self) -> None:
        await self._more()
        if self._ended:
            raise EOFError(f"closed after {bytes(self._read[:200])!r}")

    async def _more(self) -> None:
        chunk = await self._receive()
        self._read += chunk
        self._ended = not chunk

    def _take(self, count: int) -> bytes:
        taken = bytes(self._read[:count])
        del self._read[:count]
        return taken
