"""What is made of answers that are odd, and of connections that were kept open too long. On real sockets."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from payment_gateway.app import Application
from payment_gateway.webhooks.destination import parse_destinations
from payment_gateway.webhooks.send import SendWebhook
from tests.hostile.receivers import MALFORMED, RECEIVERS, Odd
from tests.integration.payment_gateway.conftest import MakeApplication, create
from tests.integration.payment_gateway.webhooks.test_endpoints import settle_and_deliver
from tests.raw_receiver import OK, Answer, Asked, always, raw_receiver

SHORT_SECONDS = 2  # the time limit for receivers that do not end their answer


@asynccontextmanager
async def sending(timeout_seconds: float) -> AsyncIterator[SendWebhook]:
    destinations = parse_destinations([], public_only=False)
    made = SendWebhook(destinations, timeout_seconds=timeout_seconds, connections_max=8)
    await made.start()
    yield made
    await made.close()


@pytest.fixture
async def send() -> AsyncIterator[SendWebhook]:
    async with sending(timeout_seconds=60) as send:
        yield send


@pytest.mark.parametrize("odd", RECEIVERS, ids=lambda odd: odd.name)
async def test_the_status_line_decides_and_the_first_bytes_are_kept(odd: Odd) -> None:
    async with (
        raw_receiver(always(*odd.parts, closes=odd.closes)) as receiver,
        sending(timeout_seconds=60 if odd.ends else SHORT_SECONDS) as send,
    ):
        reply = await send(f"{receiver.url}/hooks", b"{}", {})
    assert (reply.status, reply.body) == (odd.status, odd.body)
    assert (reply.failure is None) == (reply.status is not None)
    if odd.error is None:
        assert reply.error is None
    else:
        assert str(reply.error).startswith(odd.error if odd.status is None else f"after the status line, {odd.error}")
        assert "\n" not in str(reply.error)
    assert len(receiver.asked) == 1


@pytest.mark.parametrize("odd", MALFORMED, ids=lambda odd: odd.name)
async def test_after_a_malformed_answer_the_connection_is_not_used_again(send: SendWebhook, odd: Odd) -> None:
    async with raw_receiver(always(*odd.parts)) as receiver:
        for _ in range(2):
            await send(f"{receiver.url}/hooks", b"{}", {})
    assert [asked.connection for asked in receiver.asked] == [0, 1]


async def test_nothing_compressed_is_asked_for(send: SendWebhook) -> None:
    async with raw_receiver(always(OK)) as receiver:
        await send(f"{receiver.url}/hooks", b"{}", {"User-Agent": "payment_gateway"})
    [asked] = receiver.asked
    assert (asked.header("Accept-Encoding"), asked.header("User-Agent")) == (None, "payment_gateway")


def _first(*parts: bytes, closes: bool, fresh: Answer) -> Callable[[Asked], Answer]:
    """Takes one webhook on its first connection, and keeps that open. To the next on it, it does as told; on any other
    connection it answers with `fresh`.
    """
    earlier = list[Asked]()

    def answer(asked: Asked) -> Answer:
        earlier.append(asked)
        if len(earlier) == 1:
            return Answer((OK,))
        return Answer(parts, closes) if asked.connection == 0 else fresh

    return answer


async def test_a_kept_connection_that_is_closed_when_it_is_used_again_is_no_failure(
    make_application: MakeApplication,
) -> None:
    async with (
        raw_receiver(_first(closes=True, fresh=Answer((OK,)))) as receiver,
        make_application(webhook_endpoint_url=receiver.url) as application,
    ):
        attempts = await _attempts_of_two(application)
    assert [[attempt["status"] for attempt in made] for made in attempts] == [[200], [200]]
    assert [asked.connection for asked in receiver.asked] == [0, 0, 1]
    assert receiver.asked[1].header("webhook-id") == receiver.asked[2].header("webhook-id")
    assert receiver.asked[1].body == receiver.asked[2].body


async def test_if_the_new_connection_fails_too_that_is_one_failed_attempt(make_application: MakeApplication) -> None:
    async with (
        raw_receiver(_first(closes=True, fresh=Answer((), closes=True))) as receiver,
        make_application(webhook_endpoint_url=receiver.url) as application,
    ):
        attempts = await _attempts_of_two(application)
    assert [[attempt["status"] for attempt in made] for made in attempts] == [[200], [None]]
    assert [asked.connection for asked in receiver.asked] == [0, 0, 1]


@pytest.mark.parametrize(
    ("parts", "closes", "timeout_seconds"),
    [
        ((b"HTTP/1.1",), True, 60),
        ((b"HTTP/1.1 200 OK\r\nContent-",), True, 60),
        ((), False, SHORT_SECONDS),
    ],
    ids=["closed after some bytes", "closed after the status line", "silent until the time is over"],
)
async def test_nothing_is_sent_again_once_the_receiver_has_answered_or_the_time_is_over(
    parts: tuple[bytes, ...], closes: bool, timeout_seconds: float
) -> None:
    async with (
        raw_receiver(_first(*parts, closes=closes, fresh=Answer((OK,)))) as receiver,
        sending(timeout_seconds) as send,
    ):
        for _ in range(2):
            await send(receiver.url, b"{}", {})
    assert [asked.connection for asked in receiver.asked] == [0, 0]


async def test_nothing_is_sent_again_after_a_failure_of_a_new_connection(send: SendWebhook) -> None:
    async with raw_receiver(always(closes=True)) as receiver:
        reply = await send(receiver.url, b"{}", {})
    assert (reply.status, len(receiver.asked)) == (None, 1)


async def _attempts_of_two(application: Application) -> list[list[dict[str, Any]]]:
    """The attempts at two deliveries, one after the other."""
    for _ in range(2):
        await create(application)
        await settle_and_deliver(application)
    return [one["attempts"] async for one in application.store.deliveries.find().sort("created_at")]
