"""A client that does not go on is cut off; one that is slow is waited for."""

import asyncio
import time

import pytest

from shared.edge.arrival import Phase
from shared.edge.limits import HttpLimits
from shared.edge.protocol import BoundedProtocol
from tests.unit.shared.edge.protocol.conftest import GET, HEAD, LARGE, serving, soon
from tests.virtual_time import run_in_virtual_time, until_without_time


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


def test_a_body_that_comes_slowly_but_steadily_is_waited_for() -> None:
    async def send_slowly() -> tuple[int, bytes]:
        async with serving(HttpLimits(http_body_seconds=0.3)) as running:
            connection = await running.connect()
            await until_without_time(lambda: bool(running.server.server_state.connections))
            [served] = running.server.server_state.connections
            assert isinstance(served, BoundedProtocol)
            await connection.send(b"POST / HTTP/1.1\r\n" + HEAD + b"Content-Length: 8192\r\n\r\n")
            await until_without_time(lambda: served._arrival.phase is Phase.BODY)
            answer = asyncio.create_task(connection.answer())

            async def send(so_far: int) -> None:
                await connection.send(b"x" * 512)
                await until_without_time(lambda: served._arrival._bytes == so_far or answer.done())

            for number in range(1, 17):
                await send(number * 512)
                await asyncio.sleep(0.05)
            return await answer

    assert run_in_virtual_time(send_slowly()) == (200, b"8192")


async def test_a_client_that_stood_still_with_the_server_may_go_on() -> None:
    async with serving(HttpLimits(http_head_seconds=2)) as running:
        connection = await running.connect()
        await connection.send(GET[:10])
        await soon(lambda: bool(running.server.server_state.connections), "the connection is open")
        time.sleep(3)  # noqa: ASYNC251 - the machine does
        await asyncio.sleep(0.01)
        await connection.send(GET[10:])
        assert await connection.answer() == (200, b"0")
