"""Clients that leave answers unread, and requests that come faster than they are answered."""

import asyncio

from shared.edge.limits import PIPELINE_MAX, UNREAD_BYTES_MAX
from shared.edge.protocol import BoundedProtocol
from tests.unit.shared.edge.protocol.conftest import GET, HEAD, LARGE, SOME, serving, soon


async def test_a_pipeline_that_is_too_long_ends_with_an_answer_that_says_why() -> None:
    async with serving() as running:
        connection = await running.connect()
        await connection.send(GET * 200)
        answers = [await connection.answer() for _ in range(PIPELINE_MAX + 2)]
        assert answers[:-1] == [(200, b"0")] * (PIPELINE_MAX + 1)
        assert answers[-1] == (429, f"more than {PIPELINE_MAX} pipelined requests".encode())
        assert await connection.rest() == b""


async def test_nothing_is_done_for_a_client_that_leaves_answers_unread() -> None:
    async with serving() as running:
        connection = await running.connect(receive_buffer=4096)
        await connection.send(b"GET /large HTTP/1.1\r\n" + HEAD + b"\r\n" + GET)
        await soon(lambda: running.app.begun == 1, "the first is answered")
        assert (await running.ask(GET)) == (200, b"0")
        assert running.app.begun == 2  # that one, and not the one behind the answer that nobody reads
        assert await connection.answer() == (200, b"x" * LARGE)
        assert await connection.answer() == (200, b"0")


async def test_clients_that_leave_too_much_unread_are_cut_off_and_not_the_one_that_reads() -> None:
    large = b"GET /large HTTP/1.1\r\n" + HEAD + b"\r\n"
    async with serving() as running:
        deaf = UNREAD_BYTES_MAX // LARGE - 1
        for _ in range(deaf):
            await (await running.connect(receive_buffer=4096)).send(large)
        await soon(lambda: running.app.begun == deaf, "all are answered")
        assert (await running.ask(large)) == (200, b"x" * LARGE)
        for _ in range(4):
            await (await running.connect(receive_buffer=4096)).send(large)
            assert (await running.ask(large)) == (200, b"x" * LARGE)
        connections = running.server.server_state.connections
        await soon(lambda: 0 < running.unread.bytes() <= UNREAD_BYTES_MAX, "some are cut off")
        assert len(connections) < deaf + 4 + 5
        assert (await running.ask(GET)) == (200, b"0")


async def test_what_only_the_kernel_holds_counts_as_unread() -> None:
    async with serving() as running:
        connection = await running.connect(receive_buffer=4096)
        await connection.send(b"GET /some HTTP/1.1\r\n" + HEAD + b"\r\n")
        await soon(lambda: running.app.begun == 1, "it is answered")
        await soon(lambda: running.unread.bytes() > SOME // 2, "the kernel holds most of it")
        assert await connection.answer() == (200, b"x" * SOME)
        await soon(lambda: running.unread.bytes() == 0, "it is read")


async def test_a_client_that_sends_too_many_requests_and_no_more_is_told_why() -> None:
    async with serving() as running:
        connection = await running.connect()
        await connection.send(GET * 200)
        await connection.end()
        answers = [await connection.answer() for _ in range(PIPELINE_MAX + 2)]
        assert answers[-1][0] == 429
        assert await connection.rest() == b""


async def test_of_too_many_pipelined_requests_the_first_are_answered() -> None:
    async with serving() as running:
        connection = await running.connect()
        await connection.send(GET * 200)
        assert (await connection.rest()).count(b"200 OK") == running.app.begun == PIPELINE_MAX + 1


async def test_a_client_that_only_sends_does_not_queue_up_requests_without_end() -> None:
    async with serving() as running:
        connection = await running.connect()
        for _ in range(200):
            await connection.send(b"GET /large HTTP/1.1\r\n" + HEAD + b"\r\n")
            await asyncio.sleep(0)
        [served] = running.server.server_state.connections
        assert isinstance(served, BoundedProtocol)
        assert len(served.pipeline) <= PIPELINE_MAX
