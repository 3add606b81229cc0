"""How `listen` keeps its endpoint at a gateway that is sometimes away, or has forgotten it."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiohttp import web

from payment_gateway.cli import listen
from payment_gateway.cli.client import Gateway
from payment_gateway.cli.forward import Forward
from payment_gateway.cli.terminal import Terminal
from tests.http_double import Asked, HttpDouble, http_double
from tests.waiting import until


class Endpoints:
    """A gateway with one endpoint at most. `away` are the methods that it answers with 503. If it `spoils` its answers, no
    POST is answered so that it can be read.
    """

    def __init__(self) -> None:
        self.made: list[dict[str, Any]] = []
        self.is_there = False
        self.away: set[str] = set()
        self.retry_after = "0"
        self.spoils = False

    async def answer(self, asked: Asked) -> web.StreamResponse:
        if asked.method in self.away:
            return web.json_response(
                {"type": "/problems/overloaded"}, status=503, headers={"Retry-After": self.retry_after}
            )
        if asked.method == "POST":
            self.made.append(msgspec.json.decode(asked.body))
            self.is_there = True
            if self.spoils:
                return web.Response(status=201, text="half an ans")
            return web.json_response(self.shown | {"secret": self.made[-1].get("secret", "made")})
        if asked.path == listen.PATH:
            return web.json_response({"data": [self.shown] if self.is_there else [], "nextCursor": None})
        if not self.is_there:
            return web.json_response({"type": "/problems/not-found"}, status=404)
        self.is_there = asked.method != "DELETE"
        return web.json_response(self.shown)

    @property
    def shown(self) -> dict[str, Any]:
        made = self.made[-1]
        return {"id": f"we_{len(self.made)}", "url": made["url"], "expiresAt": "soon", "state": "enabled"}


@pytest.fixture
def endpoints() -> Endpoints:
    return Endpoints()


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen, "WATCH_SECONDS", 0.01)
    monkeypatch.setattr(listen, "RENEW_SECONDS", 0.05)


def started(gateway: HttpDouble) -> "asyncio.Task[None]":
    terminal = Terminal(as_json=True)
    forward = Forward(terminal, "http://127.0.0.1:9/", [], skip_verify=False)
    asked: dict[str, Any] = {"event_types": [], "secret": None, "max_in_flight": None}
    listener = listen.Listener(Gateway(gateway.url, "key"), terminal, forward, None, asked)
    return asyncio.create_task(listener.run("127.0.0.1", 0))


@asynccontextmanager
async def listening(endpoints: Endpoints) -> AsyncIterator[HttpDouble]:
    """The gateway that it listens to, once it has registered and looks after its endpoint."""
    async with http_double(endpoints.answer) as gateway:
        running = started(gateway)
        try:
            await until(
                _is(lambda: any(asked.path != listen.PATH for asked in gateway.asked)), "it looks after its endpoint"
            )
            yield gateway
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def _is(condition: Any) -> Any:
    async def holds() -> bool:
        return bool(condition())

    return holds


def renewals(gateway: HttpDouble) -> list[dict[str, Any]]:
    return [msgspec.json.decode(asked.body) for asked in gateway.asked if asked.method == "PATCH"]


async def test_the_endpoint_is_renewed_well_before_it_expires(endpoints: Endpoints) -> None:
    async with listening(endpoints) as gateway:
        await until(_is(lambda: len(renewals(gateway)) >= 3), "it is renewed again and again")
    assert endpoints.made[0]["expiresInSeconds"] == listen.EXPIRES_SECONDS
    assert {one["expiresInSeconds"] for one in renewals(gateway)} == {listen.EXPIRES_SECONDS}


async def test_a_renewal_that_fails_is_tried_again(endpoints: Endpoints) -> None:
    async with listening(endpoints) as gateway:
        endpoints.away = {"PATCH"}
        before = len(renewals(gateway))
        await until(_is(lambda: len(renewals(gateway)) >= before + 3), "it is tried again and again")
    assert len(endpoints.made) == 1


async def test_an_endpoint_that_has_expired_is_made_again_with_its_secret(endpoints: Endpoints) -> None:
    async with listening(endpoints):
        endpoints.is_there = False
        await until(_is(lambda: len(endpoints.made) == 2), "it has registered again")
    assert "secret" not in endpoints.made[0]
    assert endpoints.made[1] == endpoints.made[0] | {"secret": "made"}


async def test_it_comes_back_also_if_that_fails_at_first(endpoints: Endpoints) -> None:
    async with listening(endpoints) as gateway:
        endpoints.away = {"POST"}
        endpoints.is_there = False
        await until(_is(lambda: len(gateway.posts()) >= 3), "it has tried to register again")
        endpoints.away = set()
        await until(_is(lambda: len(endpoints.made) == 2), "it has registered again")


async def test_it_removes_its_endpoint_when_it_ends(endpoints: Endpoints) -> None:
    async with listening(endpoints):
        assert endpoints.is_there
    assert not endpoints.is_there


async def test_a_signal_ends_it_also_while_the_gateway_takes_no_endpoint(endpoints: Endpoints) -> None:
    endpoints.away, endpoints.retry_after = {"POST"}, "3600"
    async with http_double(endpoints.answer) as gateway:
        running = started(gateway)
        await until(_is(lambda: bool(gateway.posts())), "it has tried to register")
        signal.raise_signal(signal.SIGTERM)
        await asyncio.wait_for(running, 60)
    assert len(gateway.posts()) == 1


async def test_a_signal_removes_the_endpoint_also_if_the_answer_that_it_is_made_was_lost(endpoints: Endpoints) -> None:
    endpoints.spoils = True
    async with http_double(endpoints.answer) as gateway:
        running = started(gateway)
        await until(_is(lambda: bool(endpoints.made)), "it is made")
        signal.raise_signal(signal.SIGTERM)
        await asyncio.wait_for(running, 60)
    assert not endpoints.is_there
