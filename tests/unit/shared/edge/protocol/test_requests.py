"""What is taken for a request, how large it may be, and in which order requests are answered."""

import asyncio

import pytest

from shared.edge.limits import HEAD_BYTES_MAX, TARGET_BYTES_MAX, HttpLimits
from tests.unit.shared.edge.protocol.conftest import GET, HEAD, serving, soon


async def test_requests_on_one_connection_are_answered_in_order() -> None:
    async with serving() as running:
        connection = await running.connect()
        await connection.send(GET * 3)
        await connection.send(b"POST / HTTP/1.1\r\n" + HEAD + b"Content-Length: 5\r\n\r\nhello" + GET)
        answers = [await connection.answer() for _ in range(5)]
        assert answers == [(200, b"0")] * 3 + [(200, b"5"), (200, b"0")]


async def test_a_request_may_come_byte_by_byte() -> None:
    async with serving() as running:
        connection = await running.connect()
        for byte in b"POST / HTTP/1.1\r\n" + HEAD + b"Content-Length: 5\r\n\r\nhello":
            await connection.send(bytes([byte]))
        assert await connection.answer() == (200, b"5")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /" + b"x" * TARGET_BYTES_MAX + b" HTTP/1.1\r\n" + HEAD + b"\r\n", 414),
        (b"GET /" + b"x" * 1_000_000, 414),
        (b"GET / HTTP/1.1\r\n" + HEAD + b"X: " + b"x" * HEAD_BYTES_MAX + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + HEAD + b"X: x\r\n" * (HEAD_BYTES_MAX // 4), 431),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HEAD * 2 + b"\r\n", 400),
        (b"GET / HTTP/1.0\r\n\r\n", 200),
        (b"GET / HTTP/1.0\r\n" + HEAD * 2 + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HEAD + b"X: " + b"x" * (HEAD_BYTES_MAX - 100) + b"\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: user@here\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost: order_api.example:8000\r\n\r\n", 200),
        (b"GET / HTTP/2.0\r\n" + HEAD + b"\r\n", 400),
        (b"GET /\r\n" + HEAD + b"\r\n", 400),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
        (b"\x16\x03\x01", 400),
    ],
    ids=[
        "long target",
        "endless target",
        "huge header",
        "endless headers",
        "no Host",
        "two Hosts",
        "HTTP/1.0 without Host",
        "HTTP/1.0 with two",
        "large headers",
        "a blank in Host",
        "a user in Host",
        "an empty Host",
        "an address as Host",
        "a name as Host",
        "HTTP/2.0",
        "HTTP/0.9",
        "HTTP/1.0 in chunks",
        "compressed chunks",
        "TLS",
    ],
)
async def test_what_a_request_may_begin_with_is_bounded(request_bytes: bytes, status: int) -> None:
    async with serving() as running:
        assert (await running.ask(request_bytes))[0] == status


async def test_headers_in_many_pieces_are_counted_together() -> None:
    async with serving() as running:
        connection = await running.connect()
        await connection.send(b"GET / HTTP/1.1\r\n" + HEAD)
        for _ in range(40):
            await connection.send(b"X: " + b"x" * 995 + b"\r\n")
            await asyncio.sleep(0)
        assert (await connection.answer())[0] == 431


async def test_what_comes_after_the_body_is_no_header() -> None:
    async with serving() as running:
        await running.ask(
            b"POST / HTTP/1.1\r\n"
            + HEAD
            + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nAuthorization: x\r\n\r\n"
        )
        [(_, headers)] = running.app.seen
        assert set(headers) == {"host", "transfer-encoding"}


async def test_a_body_without_end_is_not_read_for_ever() -> None:
    async with serving() as running:
        connection = await running.connect()
        sending = b"POST / HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
        ended = asyncio.create_task(connection.rest())
        for _ in range(100):
            try:
                await connection.send(sending)
            except ConnectionError:
                break
            sending = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        await ended
        await soon(lambda: running.app.cut_off == 1, "the application is told")


async def test_http_1_0_is_not_told_to_continue() -> None:
    """RFC 9110 §10.1.1: it would take that for the answer."""
    async with serving() as running:
        connection = await running.connect()
        await connection.send(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello")
        assert await connection.answer() == (200, b"5")


async def test_garbage_behind_a_request_is_answered_after_it() -> None:
    async with serving() as running:
        connection = await running.connect()
        await connection.send(b"GET /held HTTP/1.1\r\n" + HEAD + b"\r\n" + b"garbage\r\n\r\n")
        await soon(lambda: running.app.begun == 1, "the first is at work")
        running.app.release.set()
        assert await connection.answer() == (200, b"0")
        assert await connection.answer() == (400, b"not a valid HTTP request")
        assert await connection.rest() == b""


async def test_blanks_around_a_value_are_not_part_of_it() -> None:
    async with serving() as running:
        await running.ask(b"GET / HTTP/1.1\r\n" + HEAD + b"X-Signature: \t t=1 \t\r\n\r\n")
        [(_, headers)] = running.app.seen
        assert headers["x-signature"] == "t=1"


async def test_beyond_the_connections_it_takes_it_says_when_to_come_again() -> None:
    async with serving(HttpLimits(http_connections_max=2)) as running:
        first = await running.connect()
        await running.connect()
        await soon(lambda: len(running.server.server_state.connections) == 2, "both are connected")
        refused = await (await running.connect()).rest()
        assert b"503" in refused
        assert b"retry-after: 1" in refused
        await first.close()
        await soon(lambda: len(running.server.server_state.connections) < 2, "one is closed")
        assert (await running.ask(GET))[0] == 200


OFFER = HEAD + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"


@pytest.mark.parametrize("pieces", [1, 2, 50])
async def test_an_offer_to_speak_another_protocol_is_ignored_and_the_body_is_not(pieces: int) -> None:
    """Java's HttpClient makes it with every request."""
    post = b"POST / HTTP/1.1\r\n" + OFFER + b"Content-Length: 5\r\n\r\nhello"
    chunked = b"POST / HTTP/1.1\r\n" + OFFER + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n0\r\n\r\n"
    sent = post + chunked + b"GET / HTTP/1.1\r\n" + OFFER + b"\r\n" + GET
    async with serving() as running:
        connection = await running.connect()
        size = -(-len(sent) // pieces)
        for start in range(0, len(sent), size):
            await connection.send(sent[start : start + size])
            await asyncio.sleep(0)
        answers = [await connection.answer() for _ in range(4)]
        assert answers == [(200, b"5"), (200, b"3"), (200, b"0"), (200, b"0")]
        assert all("upgrade" not in headers for _, headers in running.app.seen)


async def test_a_body_is_never_taken_for_a_request() -> None:
    hidden = b"GET /hidden HTTP/1.1\r\n" + HEAD + b"\r\n"
    length = f"Content-Length: {len(hidden)}\r\n\r\n".encode()
    async with serving() as running:
        assert (await running.ask(b"POST / HTTP/1.1\r\n" + OFFER + length + hidden))[1] == str(len(hidden)).encode()
        assert [path for path, _ in running.app.seen] == ["/"]


async def test_it_is_no_proxy() -> None:
    async with serving() as running:
        assert (await running.ask(b"CONNECT here:80 HTTP/1.1\r\n" + HEAD + b"\r\n"))[0] == 400


async def test_after_an_expectation_nothing_else_follows_on_the_connection() -> None:
    """Answered early, the client may leave the body out: what comes next would be taken for it. RFC 9110 §10.1.1"""
    async with serving() as running:
        connection = await running.connect()
        await connection.send(b"POST / HTTP/1.1\r\n" + HEAD + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        await connection.send(b"hello")
        assert (await connection.rest()).startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
