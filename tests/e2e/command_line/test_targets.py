"""What receivers are asked for, whoever sends: deliveries, `POST /v1/test/webhooks` and `payment-gateway listen`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from tests.e2e.command_line.conftest import CommandLine, Merchant
from tests.hostile.receivers import RECEIVERS
from tests.raw_receiver import OK, RawReceiver, always, raw_receiver
from tests.waiting import until

# What a URL goes on with after the port, and what is asked for.
TARGETS = {
    "": "/",
    "/": "/",
    "/hooks?sig=a%2Fb%2Bc%3D": "/hooks?sig=a%2Fb%2Bc%3D",
    "/%7Eshop/~shop": "/%7Eshop/~shop",
    "/a%2fb%2Fc%zz%": "/a%2fb%2Fc%zz%",
    "/hooks?a[1]=b&[2]": "/hooks?a[1]=b&[2]",
    "/hooks?": "/hooks?",
    "?": "/?",
    "/?a=b?c=d&": "/?a=b?c=d&",
    "/a+b?c+d=%20+": "/a+b?c+d=%20+",
    "//hooks//": "//hooks//",
    "/./a/../b/..": "/./a/../b/..",
    "/%2E%2E/a;b=c,d": "/%2E%2E/a;b=c,d",
    '/a|b\\c"<d>^`{e}': '/a|b\\c"<d>^`{e}',
    "/hooks#fragment": "/hooks",
    "/hooks?#fragment?a": "/hooks?",
}
# Odd all at once, because each takes a process of its own.
FORWARDED = {
    "/a%2fb//./c/../%7E[1]+%zz/?sig=a%2Fb%2Bc%3D&[2]=%20+&#f": "/a%2fb//./c/../%7E[1]+%zz/?sig=a%2Fb%2Bc%3D&[2]=%20+&",
    "/hooks?": "/hooks?",
}  # fmt: skip


@pytest.fixture
async def receiver() -> AsyncIterator[RawReceiver]:
    async with raw_receiver(always(OK)) as made:
        yield made


async def _asked_for(receiver: RawReceiver, count: int) -> list[str]:
    async def are_there() -> bool:
        return len(receiver.asked) >= count

    await until(are_there, f"{count} webhooks")
    assert {asked.header("Host") for asked in receiver.asked} == {f"LocalHost:{receiver.port}"}
    return [asked.target for asked in receiver.asked]


def _url(receiver: RawReceiver, rest: str) -> str:
    return f"http://LocalHost:{receiver.port}{rest}"


async def test_a_delivery_asks_for_the_target_byte_for_byte(merchant: Merchant, receiver: RawReceiver) -> None:
    for rest in TARGETS:
        merchant.endpoint(_url(receiver, rest))
    await merchant.charge()
    assert sorted(await _asked_for(receiver, len(TARGETS))) == sorted(TARGETS.values())


async def test_a_test_webhook_asks_for_the_target_byte_for_byte(merchant: Merchant, receiver: RawReceiver) -> None:
    for rest in TARGETS:
        asked = {"url": _url(receiver, rest), "body": {}}
        answer = await asyncio.to_thread(merchant.call, "POST", "/v1/test/webhooks", asked)
        assert answer["status"] == 200
    assert await _asked_for(receiver, len(TARGETS)) == list(TARGETS.values())


@pytest.mark.parametrize("rest", FORWARDED)
async def test_listen_asks_for_the_target_byte_for_byte(
    command: CommandLine, merchant: Merchant, receiver: RawReceiver, rest: str
) -> None:
    async with command.listening(_url(receiver, rest)) as listening:
        await merchant.charge()
        await listening.shows(1)
    assert await _asked_for(receiver, 1) == [FORWARDED[rest]]


@pytest.mark.parametrize(
    "url", ["http://127.1/", "http://2130706433/", "http://a..b/", "http://shop.example:0/", "http://shop.example/a b"]
)
async def test_a_url_that_cannot_be_called_is_refused_alike_by_all_who_take_one(
    command: CommandLine, merchant: Merchant, url: str
) -> None:
    made: dict[str, Any] = merchant.endpoint("http://shop.example/")
    for method, path, body in (
        ("POST", "/v1/webhook-endpoints", {"url": url}),
        ("PATCH", f"/v1/webhook-endpoints/{made['id']}", {"url": url}),
        ("POST", "/v1/test/webhooks", {"url": url, "body": {}}),
    ):
        with pytest.raises(httpx.HTTPStatusError) as refused:
            merchant.call(method, path, body)
        problem = refused.value.response.json()
        assert (problem["status"], problem["errors"][0]["pointer"]) == (422, "/url")
        assert problem["errors"][0]["detail"].startswith("must ")
    ended = await command("listen", "--forward-to", url)
    assert ended.status == 2
    assert problem["errors"][0]["detail"] in " ".join(ended.talk.replace("│", " ").split())


async def test_a_receiver_that_is_odd_is_called_once_and_stays_enabled(merchant: Merchant) -> None:
    """Those whose answers have an end: others take the whole time of an attempt."""
    odd = [one for one in RECEIVERS if one.status in {200, 204} and one.ends]
    async with AsyncExitStack() as stack:
        receivers = [
            await stack.enter_async_context(raw_receiver(always(*one.parts, closes=one.closes))) for one in odd
        ]
        for receiver in receivers:
            merchant.endpoint(receiver.url)
        await merchant.charge()
        deliveries = list[Any]()

        async def have_ended() -> bool:
            deliveries[:] = merchant.listed("deliveries?limit=100")
            return len(deliveries) == len(odd) and all(one["state"] != "pending" for one in deliveries)

        await until(have_ended, f"{len(odd)} deliveries")
    assert [len(receiver.asked) for receiver in receivers] == [1] * len(odd)
    assert {(one["state"], len(one["attempts"])) for one in deliveries} == {("delivered", 1)}
    assert {endpoint["state"] for endpoint in merchant.listed("webhook-endpoints?limit=100")} == {"enabled"}
