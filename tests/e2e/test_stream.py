"""The streams of what changes, and the pages that read them, as they are served."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from hashlib import sha256
from typing import Any

import aiohttp
import pytest

from tests.e2e.conftest import Api, StartStack, order_body, set_clock
from tests.waiting import until

BROWSER = {"Accept": "text/html,*/*;q=0.8"}


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@asynccontextmanager
async def listening(http: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> AsyncIterator[list[Any]]:
    """The messages as they come: a hint, or `more`. It begins when the stream does."""
    heard: list[Any] = []
    async with http.get(url, headers=headers, timeout=aiohttp.ClientTimeout(total=None)) as response:
        assert (response.status, response.headers["Content-Type"]) == (200, "text/event-stream; charset=utf-8")
        assert await response.content.readline() == b":\n"

        async def read() -> None:
            async for line in response.content:
                if line.startswith(b"event: "):
                    heard.append(line[7:].strip().decode())
                elif line.startswith(b"data: ") and line != b"data: {}\n":
                    heard.append(json.loads(line[6:]))

        reading = asyncio.create_task(read())
        try:
            yield heard
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


def ids(heard: list[Any]) -> set[str]:
    return {one["id"] for one in heard if isinstance(one, dict)}


async def test_an_order_that_is_placed_on_another_replica_and_paid_is_told_twice_at_least(
    start_stack: StartStack, http: aiohttp.ClientSession
) -> None:
    with start_stack(order_apis=2) as stack:
        first, second = stack.order_apis
        set_clock(stack, "freeze")
        async with listening(http, f"{first.url}/api/stream", {}) as heard:
            _, _, order = await Api(http, second.url).place(order_body())

            async def is_told(times: int) -> bool:
                return len([one for one in heard if isinstance(one, dict) and one["id"] == order["id"]]) >= times

            await until(partial(is_told, 1), "the order is told")
            set_clock(stack, "resume")  # only now is it paid, or both changes may be told as one
            await until(partial(is_told, 2), "the order is told again")
            versions = [one["version"] for one in heard if isinstance(one, dict)]
            assert versions == sorted(set(versions))


async def test_nobody_hears_of_another_merchants_orders(start_stack: StartStack, http: aiohttp.ClientSession) -> None:
    keys = ",".join(f"{name}:{sha256(name.encode()).hexdigest()}" for name in ("mine", "theirs"))
    with start_stack(ORDER_API_KEYS=keys) as stack:
        url = stack.order_apis[0].url
        async with listening(http, f"{url}/api/stream", bearer("mine")) as heard:
            _, _, theirs = await Api(http, url).place(order_body(), **bearer("theirs"))
            _, _, mine = await Api(http, url).place(order_body(), **bearer("mine"))

            async def is_told() -> bool:
                return mine["id"] in ids(heard)

            await until(is_told, "mine is told")
            assert theirs["id"] not in ids(heard)
        async with http.get(f"{url}/api/stream") as refused:
            assert refused.status == 401


async def test_the_gateway_tells_of_charges_deliveries_faults_clock_and_requests(
    start_stack: StartStack, http: aiohttp.ClientSession
) -> None:
    with start_stack() as stack:
        gateway, headers = stack.gateways[0], bearer(stack.api_key)
        async with listening(http, f"{gateway.url}/v1/stream", headers) as heard:
            kinds: set[str] = set()

            async def are_told() -> bool:
                return kinds <= {one.partition("_")[0] for one in ids(heard)}

            await Api(http, stack.order_apis[0].url).place(order_body())
            kinds = {"ch", "dlv", "req"}
            await until(are_told, "the charge, its delivery and the requests are told")
            async with http.put(f"{gateway.url}/v1/test/faults", json={"rates": {}, "seed": 7}, headers=headers) as put:
                assert put.status == 200
            async with http.post(f"{gateway.url}/v1/test/clock", json={"action": "freeze"}, headers=headers) as frozen:
                assert frozen.status == 200
            kinds = {"faults", "clock"}
            await until(are_told, "faults and clock are told")


async def test_a_stream_keeps_neither_service_from_stopping_and_a_head_of_it_ends(
    start_stack: StartStack, http: aiohttp.ClientSession
) -> None:
    with start_stack() as stack:
        for service, path in ((stack.order_apis[0], "/api/stream"), (stack.gateways[0], "/v1/stream")):
            headers = bearer(stack.api_key)
            async with http.head(service.url + path, headers=headers) as head:
                assert (head.status, await head.read()) == (200, b"")
            async with listening(http, service.url + path, headers):
                assert await asyncio.to_thread(service.stop) == 0


async def test_a_stream_takes_no_place_of_other_requests(start_stack: StartStack, http: aiohttp.ClientSession) -> None:
    with start_stack(HTTP_REQUESTS_MAX="1") as stack:
        url = stack.order_apis[0].url
        async with listening(http, f"{url}/api/stream", {}), listening(http, f"{url}/api/stream", {}):
            assert (await Api(http, url).call("GET", "/api/orders"))[0] == 200


async def test_a_refused_webhook_is_shown_in_development_and_nowhere_else(
    start_stack: StartStack, http: aiohttp.ClientSession
) -> None:
    with start_stack() as stack:
        api = Api(http, stack.order_apis[0].url)
        forged = {"X-Signature": f"t={int(time.time())},v1={'0' * 64}"}
        await api.call("POST", "/api/webhooks/payments", data=b'{"id": "evt_1"}', headers=forged)
        _, _, page = await api.call("GET", "/api/webhooks/refused")
        [one] = page["data"]
        assert (one["status"], one["requestBody"]) == (401, '{"id": "evt_1"}')
        assert "invalid-signature" in one["responseBody"]


async def test_the_page_is_there_in_development_and_its_files_are_sent_once(
    start_stack: StartStack, http: aiohttp.ClientSession
) -> None:
    with start_stack() as stack:
        for service in stack.services:
            async with http.get(service.url, headers=BROWSER) as page:
                assert page.status == 200
                assert page.headers["Content-Security-Policy"].startswith("default-src 'self'; ")
                assert "'unsafe-inline'" not in page.headers["Content-Security-Policy"]
                tag = page.headers["ETag"]
            async with http.get(service.url, headers={**BROWSER, "If-None-Match": tag}) as again:
                assert (again.status, await again.read()) == (304, b"")
            async with http.get(f"{service.url}/console/config.json") as config:
                assert (await config.json())["service"] == service.module
            async with http.get(service.url, headers={"Accept": "application/json"}) as nothing:
                assert nothing.status == 404


async def test_each_console_knows_the_other(start_stack: StartStack, http: aiohttp.ClientSession) -> None:
    with start_stack() as stack:
        order_api, gateway = stack.order_apis[0], stack.gateways[0]
        assert (await _config(http, order_api.url))["gatewayConsoleUrl"] == gateway.url
        assert (await _config(http, gateway.url))["orderConsoleUrl"] == order_api.url


@pytest.mark.parametrize("console", ["false", None])
async def test_without_a_console_a_browser_is_led_to_the_api_page(
    start_stack: StartStack, http: aiohttp.ClientSession, console: str | None
) -> None:
    with start_stack(**_production(console)) as stack:
        for service in stack.services:
            async with http.get(service.url, headers=BROWSER, allow_redirects=False) as page:
                assert (page.status, page.headers["Location"]) == (302, "/schema")
            async with http.get(f"{service.url}/console/config.json") as config:
                assert config.status == 404


async def test_in_production_a_console_keeps_no_requests_and_has_no_test_endpoints(
    start_stack: StartStack, http: aiohttp.ClientSession
) -> None:
    with start_stack(**_production("true")) as stack:
        order_api, gateway = stack.order_apis[0], stack.gateways[0]
        config = await _config(http, gateway.url)
        assert (config["needsKey"], config["development"], config["testEndpoints"]) == (True, False, False)
        assert (await Api(http, order_api.url).call("GET", "/api/webhooks/refused"))[0] == 404
        status, _, _ = await Api(http, gateway.url).call("GET", "/v1/test/requests", headers=bearer(stack.api_key))
        assert status == 403


def _production(console: str | None) -> dict[str, str]:
    settings = {"APP_ENV": "production", "WEBHOOK_ALLOWED_HOSTS": "127.0.0.1"}
    return settings if console is None else {**settings, "CONSOLE": console}


async def _config(http: aiohttp.ClientSession, url: str) -> Any:
    async with http.get(f"{url}/console/config.json") as response:
        return await response.json()
