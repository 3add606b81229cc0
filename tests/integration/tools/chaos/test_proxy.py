"""Each fault of a link does what it says, in its direction only, and is over when it ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.waiting import until
from tools.chaos.links import PARTITION, Link, Trouble, Way
from tools.chaos.proxy import Proxy
from tools.process import free_port

SOON = 0.2  # seconds in which what is held would have come if it were not


class Echo:
    """Answers with what it got, and remembers it."""

    def __init__(self) -> None:
        self.got = b""
        self.connections = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while data := await reader.read(65536):
                self.got += data
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            self.connections -= 1
            writer.close()


@asynccontextmanager
async def echo() -> AsyncIterator[Echo]:
    service = Echo()
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0)
    service.port = server.sockets[0].getsockname()[1]
    try:
        yield service
    finally:
        server.close()


@pytest.fixture
async def target() -> AsyncIterator[Echo]:
    async with echo() as service:
        yield service


@pytest.fixture
async def proxy(target: Echo) -> AsyncIterator[Proxy]:
    """One behind which the first upstream is not there."""
    proxy = Proxy([free_port(), target.port], source_of=lambda _port: "client")
    await proxy.start()
    yield proxy
    await proxy.close()


@pytest.fixture
def link(proxy: Proxy) -> Link:
    return proxy.link("client")


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def receives(self, data: bytes) -> bool:
        async with asyncio.timeout(20):
            return await self._reader.readexactly(len(data)) == data

    async def until(self, end: bytes) -> bytes:
        """What comes before `end`."""
        async with asyncio.timeout(20):
            return (await self._reader.readuntil(end)).removesuffix(end)

    async def receives_nothing(self) -> bool:
        try:
            async with asyncio.timeout(SOON):
                await self._reader.read(1)
        except TimeoutError:
            return True
        return False

    async def is_reset(self) -> bool:
        try:
            async with asyncio.timeout(20):
                await self._reader.read(1)
        except ConnectionResetError:
            return True
        return False

    def close(self) -> None:
        self._writer.close()


@pytest.fixture
async def client(proxy: Proxy) -> AsyncIterator[Client]:
    client = await connect(proxy)
    client.send(b"hello")
    assert await client.receives(b"hello")
    yield client
    client.close()


async def connect(proxy: Proxy) -> Client:
    return Client(*await asyncio.open_connection("127.0.0.1", proxy.port, limit=2**24))


async def test_a_whole_link_passes_everything_on(client: Client) -> None:
    much = b"0123456789abcdef" * 400_000
    client.send(much)
    assert await client.receives(much)


async def test_silent_requests_never_arrive_while_it_lasts(client: Client, link: Link, target: Echo) -> None:
    with link.troubled(Trouble(requests=Way(silent=True))):
        client.send(b" pay")
        assert await client.receives_nothing()
        assert target.got == b"hello"
    assert await client.receives(b" pay")


async def test_silent_replies_are_lost_after_the_work_was_done(client: Client, link: Link, target: Echo) -> None:
    with link.troubled(Trouble(replies=Way(silent=True))):
        client.send(b" pay")
        assert await client.receives_nothing()
        assert target.got == b"hello pay"
    assert await client.receives(b" pay")


async def test_what_was_held_for_a_client_that_has_gone_is_not_sent_on(
    client: Client, link: Link, target: Echo
) -> None:
    with link.troubled(PARTITION):
        client.send(b" pay")
        assert await client.receives_nothing()
        client.close()
        await asyncio.sleep(SOON)
        assert target.connections == 1  # which cannot know
    await until(lambda: _is(target.connections == 0), "the target sees that the client has gone")
    assert target.got == b"hello"


async def test_a_target_that_ends_behind_a_silent_link_is_not_seen_to_end(proxy: Proxy, link: Link) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"bye")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    short = Proxy([server.sockets[0].getsockname()[1]], source_of=lambda _port: "client")
    await short.start()
    with short.link("client").troubled(Trouble(replies=Way(silent=True))):
        client = await connect(short)
        client.send(b"x")
        assert await client.receives_nothing()
    assert await client.receives(b"bye")
    client.close()
    await short.close()
    server.close()


async def test_delayed_bytes_come_late_and_in_order(client: Client, link: Link) -> None:
    with link.troubled(Trouble(replies=Way(delay_seconds=3 * SOON))):
        client.send(b"1")
        assert await client.receives_nothing()
        client.send(b"2")
        assert await client.receives(b"12")


async def test_a_lost_reply_takes_its_connection_along(client: Client, link: Link, target: Echo) -> None:
    with link.troubled(Trouble(replies=Way(loss=1.0))):
        client.send(b" pay")
        assert await client.is_reset()
    assert target.got == b"hello pay"


async def test_a_link_that_refuses_keeps_what_is_open_and_resets_what_is_new(
    proxy: Proxy, client: Client, link: Link
) -> None:
    with link.troubled(Trouble(refuse=True)):
        client.send(b"x")
        assert await client.receives(b"x")
        assert await (await connect(proxy)).is_reset()


async def test_a_reset_ends_what_is_open(client: Client, link: Link, target: Echo) -> None:
    link.reset()
    assert await client.is_reset()
    await until(lambda: _is(target.connections == 0), "the target sees it too")


async def test_two_troubles_end_one_by_one(client: Client, link: Link) -> None:
    with link.troubled(Trouble(replies=Way(silent=True))):
        with link.troubled(Trouble(replies=Way(silent=True))):
            client.send(b"x")
        assert await client.receives_nothing()
    assert await client.receives(b"x")


async def test_healing_ends_every_trouble(proxy: Proxy, client: Client, link: Link) -> None:
    link.add(PARTITION)
    link.add(Trouble(refuse=True, replies=Way(delay_seconds=1000, loss=1.0)))
    client.send(b"x")
    proxy.heal()
    assert await client.receives(b"x")
    again = await connect(proxy)
    again.send(b"y")
    assert await again.receives(b"y")
    again.close()


async def test_nobody_behind_the_proxy_looks_like_nobody_at_all() -> None:
    proxy = Proxy([free_port()], source_of=lambda _port: "client")
    await proxy.start()
    assert await (await connect(proxy)).is_reset()
    await proxy.close()


async def test_only_the_link_of_one_process_is_broken(target: Echo) -> None:
    names: dict[int, str] = {}
    proxy = Proxy([target.port], source_of=lambda port: names.setdefault(port, f"client {len(names)}"))
    await proxy.start()
    first, second = await connect(proxy), await connect(proxy)
    await until(lambda: _is(target.connections == 2), "both are connected")
    with proxy.link("client 0").troubled(PARTITION):
        first.send(b"x")
        second.send(b"y")
        assert await second.receives(b"y")
        assert await first.receives_nothing()
    first.close()
    second.close()
    await proxy.close()


async def _is(value: bool) -> bool:
    return value


async def test_who_asks_something_is_flooded_and_answered_when_it_is_over(client: Client, link: Link) -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    with link.troubled(Trouble(replies=Way(silent=True, flood=True))):
        client.send(b"question")
        assert await client.receives(interim * 10_000)
    rest = await client.until(b"question")
    assert rest.count(interim) * len(interim) == len(rest)
