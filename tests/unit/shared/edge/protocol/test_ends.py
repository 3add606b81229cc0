"""How a connection ends: its client sends no more or goes, or the server stops."""

import asyncio

from shared.edge.protocol import STOPPING_SECONDS
from tests.unit.shared.edge.protocol.conftest import GET, HEAD, serving, soon


async def test_a_request_is_answered_although_its_client_sends_no_more() -> None:
    async with serving() as running:
        for sent, answers in (
            (b"POST /held HTTP/1.1\r\n" + HEAD + b"Content-Length: 5\r\n\r\nhello", [b"5"]),
            (b"GET /held HTTP/1.1\r\n" + HEAD + b"\r\n" + GET * 2, [b"0"] * 3),
            (b"GET /held HTTP/1.1\r\n" + HEAD + b"\r\nGET / HT", [b"0"]),
        ):
            running.app.release.clear()
            begun = running.app.begun
            connection = await running.connect()
            await connection.send(sent)
            await connection.end()
            await soon(lambda begun=begun: running.app.begun > begun, "it is at work")  # type: ignore[misc]
            running.app.release.set()
            assert [await connection.answer() for _ in answers] == [(200, body) for body in answers]
            assert await connection.rest() == b""


async def test_half_a_request_is_not_waited_for_when_its_client_sends_no_more() -> None:
    async with serving() as running:
        for sent in (b"", b"GET / HT", b"POST / HTTP/1.1\r\n" + HEAD + b"Content-Length: 5\r\n\r\nhell"):
            connection = await running.connect()
            await connection.send(sent)
            await connection.end()
            assert await connection.rest() == b""


async def test_nothing_is_held_back_for_a_client_that_sends_no_more() -> None:
    """It may have gone: a client that closes looks the same until something is written to it."""
    async with serving() as running:
        connection = await running.connect()
        await connection.send(b"GET /later HTTP/1.1\r\n" + HEAD + b"\r\n")
        running.app.release.set()
        await soon(lambda: running.app.holds == 1, "the answer is held back")
        await connection.end()
        assert await connection.answer() == (200, b"0")


async def test_nothing_is_held_back_for_a_client_that_went_before() -> None:
    async with serving() as running:
        connection = await running.connect()
        await connection.send(b"GET /later HTTP/1.1\r\n" + HEAD + b"\r\n")
        await connection.end()
        assert (await running.ask(GET))[0] == 200  # so the end before it has been seen too
        running.app.release.set()
        assert await connection.answer() == (200, b"0")


async def test_a_stream_ends_when_its_client_goes() -> None:
    async with serving() as running:
        connection = await running.connect()
        await connection.send(b"GET /stream HTTP/1.1\r\n" + HEAD + b"\r\n")
        await soon(lambda: running.app.streams == 1, "it runs")
        await connection.end()
        await soon(lambda: running.app.streams == 0, "it has ended")


async def test_open_streams_end_when_the_server_stops() -> None:
    async with serving() as running:
        connection = await running.connect()
        await connection.send(b"GET /stream HTTP/1.1\r\n" + HEAD + b"\r\n")
        await soon(lambda: running.app.streams == 1, "the stream is open")
        running.server.should_exit = True
        assert b"first" in await connection.rest()
        assert running.app.streams == 0


async def test_what_is_in_hand_is_answered_although_the_server_stops() -> None:
    async with serving() as running:
        connection = await running.connect()
        await connection.send(b"GET /held HTTP/1.1\r\n" + HEAD + b"\r\n")
        await soon(lambda: running.app.begun == 1, "the request is at work")
        running.server.should_exit = True
        await asyncio.sleep(STOPPING_SECONDS + 1)  # longer than a client would be given
        running.app.release.set()
        assert b"200 OK" in await connection.rest()


async def test_it_stops_although_clients_hold_on() -> None:
    async with serving() as running:
        waiting = [await running.connect() for _ in range(4)]
        await waiting[0].send(b"GET / HT")
        await waiting[1].send(b"POST / HTTP/1.1\r\n" + HEAD + b"Content-Length: 5\r\n\r\nhell")
        await waiting[2].send(b"GET /large HTTP/1.1\r\n" + HEAD + b"\r\n")
        await soon(lambda: running.app.begun == 2, "two requests are at work")
        running.server.should_exit = True
        await soon(lambda: not running.server.server_state.connections, "all are closed")
        assert not running.server.server_state.tasks
