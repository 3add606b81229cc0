"""What a stranger's answer may cost whoever calls. On uvloop, as the services run."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import aiohttp
import pytest
import uvloop

from shared.http_client import HeadTooLongError, open_session
from tests.flood import ENDLESS, flooding
from tests.waiting import until

T = TypeVar("T")

FLOODS = {
    "100 Continue": (b"", ENDLESS["100 Continue"]),
    "103 Early Hints": (b"", ENDLESS["103 Early Hints"]),
    "a head that does not end": (b"HTTP/1.1 200 OK\r\n", ENDLESS["a head that does not end"]),
}
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
# What the kernels at both ends buffer of a connection, and then some: the least that any server can send.
UNREAD_BYTES_MAX = 16 * 2**20


def on_uvloop(coroutine: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(coroutine)


async def ask(url: str) -> bytes:
    async with (
        open_session(connections_max=4, connect_seconds=5, total_seconds=30) as http,
        http.post(url, data=b"{}") as response,
    ):
        return await response.read()


async def longest_turn(call: Callable[[], Awaitable[object]]) -> float:
    """The most CPU that the loop's thread spent between two turns of another task while `call` was under way."""
    longest, before = 0.0, time.thread_time()
    calling = asyncio.ensure_future(call())
    while not calling.done():
        await asyncio.sleep(0)
        now = time.thread_time()
        longest, before = max(longest, now - before), now
    await calling
    return longest


@pytest.mark.parametrize("name", FLOODS)
def test_an_answer_whose_head_never_comes_is_broken_off_after_a_bounded_number_of_bytes(name: str) -> None:
    first, endless = FLOODS[name]
    with flooding(endless, first=first) as flood:
        with pytest.raises((HeadTooLongError, aiohttp.ClientResponseError)) as raised:
            on_uvloop(ask(flood.url))
        assert "\n" not in str(raised.value)
        assert len(flood.sent) == 1, "it is not tried again"
        assert flood.sent[0] < UNREAD_BYTES_MAX


@pytest.mark.parametrize("name", ["100 Continue", "103 Early Hints"])
def test_an_endless_stream_of_interim_answers_lets_others_have_their_turn(name: str) -> None:
    """The best of several runs, each compared with calls that are answered at once."""

    async def flooded() -> None:
        with pytest.raises(HeadTooLongError):
            await ask(flood.url)

    with flooding(b"", first=ANSWER) as prompt, flooding(ENDLESS[name]) as flood:
        usual = min(on_uvloop(longest_turn(lambda: ask(prompt.url))) for _ in range(5))
        meanwhile = min(on_uvloop(longest_turn(flooded)) for _ in range(5))
    assert meanwhile < 10 * usual


@pytest.mark.parametrize("name", ["100 Continue", "103 Early Hints"])
def test_a_few_interim_answers_come_before_the_answer(name: str) -> None:
    with flooding(b"", first=ENDLESS[name] * 3 + ANSWER) as server:
        assert on_uvloop(ask(server.url)) == b"ok"


def test_a_head_of_many_long_lines_is_read() -> None:
    head = b"".join(b"X-%d: %s\r\n" % (number, b"x" * 4000) for number in range(12))
    answer = b"HTTP/1.1 200 OK\r\n" + head + b"Content-Length: 2\r\n\r\nok"
    with flooding(b"", first=answer) as server:
        assert on_uvloop(ask(server.url)) == b"ok"


def test_a_body_longer_than_any_head_is_read() -> None:
    with flooding(b"", first=b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 10**6) as server:
        assert len(on_uvloop(ask(server.url))) == 10**6


@pytest.mark.parametrize(
    ("first", "endless"),
    [(b"", ANSWER), (b"", b"\r\n"), (b"HTTP/1.1 200 OK\r\n", ENDLESS["a head that does not end"])],
    ids=["answers", "empty lines", "a head that does not end"],
)
def test_bytes_that_nobody_asked_for_end_an_idle_connection(first: bytes, endless: bytes) -> None:
    """They would be kept for as long as the connection is, and the first be taken for the answer to the next request."""
    between = threading.Event()

    async def ask_and_wait(url: str) -> bytes:
        async with open_session(connections_max=4, connect_seconds=5, total_seconds=30) as http:
            async with http.post(url, data=b"{}") as response:
                body = await response.read()
            assert not await is_closed(http)
            between.set()
            await until(lambda: is_closed(http), "the connection is closed")
        return body

    async def is_closed(http: aiohttp.ClientSession) -> bool:
        assert http.connector is not None
        return not any(one.is_connected() for idle in http.connector._conns.values() for one, _ in idle)

    with flooding(endless, first=ANSWER + first, between=between) as server:
        assert on_uvloop(ask_and_wait(server.url)) == b"ok"
        assert server.sent[0] < UNREAD_BYTES_MAX
