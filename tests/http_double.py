"""A real HTTP server that records what it is asked and answers as a test says."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from multidict import CIMultiDictProxy


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: CIMultiDictProxy[str]
    body: bytes


Answer = Callable[[Asked], Awaitable[web.StreamResponse]]


@dataclass
class HttpDouble:
    """`answer` may be replaced at any time; `asked` is everything that came, in order."""

    answer: Answer
    url: str = ""
    asked: list[Asked] = field(default_factory=list)

    def posts(self) -> list[Asked]:
        return [one for one in self.asked if one.method == "POST"]


async def ok(_asked: Asked) -> web.StreamResponse:
    return web.json_response({})


def always(status: int, body: str = "", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def answer(_asked: Asked) -> web.StreamResponse:
        return web.Response(status=status, text=body, headers=named, content_type="application/json")

    return answer


@asynccontextmanager
async def http_double(answer: Answer = ok) -> AsyncIterator[HttpDouble]:
    double = HttpDouble(answer)

    async def handle(request: web.Request) -> web.StreamResponse:
        asked = Asked(request.method, request.path, dict(request.query), request.headers, await request.read())
        double.asked.append(asked)
        return await double.answer(asked)

    application = web.Application()
    application.router.add_route("*", "/{anything:.*}", handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    [socket] = site._server.sockets  # type: ignore[union-attr]
    double.url = f"http://127.0.0.1:{socket.getsockname()[1]}"
    try:
        yield double
    finally:
        await runner.cleanup()
