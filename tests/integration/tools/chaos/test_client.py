"""A client of make chaos asks as Stripe's SDK does, and knows what it does not know."""

from collections.abc import AsyncIterator
from random import Random

import aiohttp
import pytest
from aiohttp import web

from tests.http_double import Asked, HttpDouble, always, http_double
from tools.chaos import client as clients
from tools.chaos.client import Client, open_http
from tools.chaos.history import History

UNAVAILABLE = always(503, "{}")
CREATED = always(201, '{"id":"ord_1"}', Location="/api/orders/ord_1")


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_http() as session:
        yield session


@pytest.fixture
async def replicas() -> AsyncIterator[tuple[HttpDouble, HttpDouble]]:
    async with http_double() as one, http_double() as other:
        yield one, other


def client_of(http: aiohttp.ClientSession, replicas: tuple[HttpDouble, ...]) -> Client:
    urls = [replica.url for replica in replicas]
    return Client(http, History(), urls, name="test", merchant="north", bearer="key", draw=Random(1))


async def test_it_asks_the_next_replica_with_the_same_key_until_there_is_an_answer(
    http: aiohttp.ClientSession, replicas: tuple[HttpDouble, HttpDouble]
) -> None:
    for number, replica in enumerate(replicas):
        replica.answer = (UNAVAILABLE, CREATED)[number]
    client = client_of(http, replicas)
    operations = [await client.post("place", "/api/orders", {"a": 1}, key=key) for key in ("one", "two", "three")]
    assert {operation.outcome for operation in operations} == {"ok"}
    assert max(len(operation.attempts) for operation in operations) == 2
    assert {asked.headers["Idempotency-Key"] for asked in replicas[0].asked} <= {"one", "two", "three"}
    assert [asked.headers["Idempotency-Key"] for asked in replicas[1].asked] == ["one", "two", "three"]


async def test_a_definite_refusal_is_not_asked_again(
    http: aiohttp.ClientSession, replicas: tuple[HttpDouble, HttpDouble]
) -> None:
    replicas[0].answer = always(409, '{"type":"/problems/order-number-taken"}')
    operation = await client_of(http, replicas[:1]).post("place", "/api/orders", key="one")
    assert (operation.outcome, len(operation.attempts)) == ("fail", 1)
    assert not operation.may_have_happened


async def test_a_key_in_flight_is_asked_again(
    http: aiohttp.ClientSession, replicas: tuple[HttpDouble, HttpDouble]
) -> None:
    in_flight = always(409, '{"type":"/problems/idempotency-key-in-flight"}')

    async def answer(asked: Asked) -> web.StreamResponse:
        return await (in_flight if len(replicas[0].asked) == 1 else CREATED)(asked)

    replicas[0].answer = answer
    operation = await client_of(http, replicas[:1]).post("place", "/api/orders", key="one")
    assert (operation.outcome, len(operation.attempts)) == ("ok", 2)


async def test_whoever_gives_up_does_not_know(
    http: aiohttp.ClientSession, replicas: tuple[HttpDouble, HttpDouble], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "GIVE_UP_SECONDS", 0.0)
    replicas[0].answer = UNAVAILABLE
    operation = await client_of(http, replicas[:1]).post("place", "/api/orders", key="one")
    assert operation.outcome == "unknown"
    assert operation.may_have_happened
