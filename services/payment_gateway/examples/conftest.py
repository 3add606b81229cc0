"""A gateway for a test suite of your own: found or started once, reset before each test, pointed at your service."""

import asyncio
import os
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import aiohttp
import pytest
from aiohttp import web
from shop import Shop

# Where the gateway's project is checked out, and `make setup` was run: say so, if you copy this elsewhere.
GATEWAY_CHECKOUT = Path(os.environ.get("GATEWAY_CHECKOUT", Path(__file__).parent / "../../..")).resolve()
API_KEY = os.environ.get("PAYMENT_GATEWAY_API_KEY", "development-key")
SECRET = "whsec_c2VjcmV0LW9mLW91ci1vd24tdGVzdC1zdWl0ZQ=="
DEADLINE_SECONDS = 30


@pytest.fixture(scope="session")
def gateway_url() -> Iterator[str]:
    """The gateway of PAYMENT_GATEWAY_URL, which each test empties; without it, one is started for this run."""
    if found := os.environ.get("PAYMENT_GATEWAY_URL"):
        yield found
        return
    port = free_port()
    process = subprocess.Popen(
        [GATEWAY_CHECKOUT / ".venv/bin/python", "-m", "tools.gateway"],  # what `make gateway` runs
        cwd=GATEWAY_CHECKOUT,
        env={**os.environ, "PAYMENT_GATEWAY_PORT": str(port)},
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_until_ready(f"http://127.0.0.1:{port}", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
async def gateway(gateway_url: str) -> AsyncIterator["Gateway"]:
    headers = {"Authorization": f"Bearer {API_KEY}"}
    async with aiohttp.ClientSession(gateway_url, headers=headers, raise_for_status=True) as http:
        gateway = Gateway(http)
        await gateway.call("POST", "/v1/test/reset")
        yield gateway


@pytest.fixture
async def service(gateway_url: str, gateway: "Gateway") -> AsyncIterator["Service"]:
    service = Service(Shop(gateway_url, API_KEY, SECRET))
    service.endpoint = await gateway.call(
        "POST", "/v1/webhook-endpoints", {"url": f"{service.url}/webhooks", "secret": SECRET}, key="our-service"
    )
    await service.start()
    yield service
    await service.stop()


class Gateway:
    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http

    async def call(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Any:
        headers = {"Idempotency-Key": key} if key else {}
        async with self._http.request(method, path, json=body, headers=headers) as response:
            return await response.json()

    async def misbehave(self, **rates: float) -> None:
        """With all that comes, from now on: `webhook_duplicated=1` does it to every event."""
        await self.call("PUT", "/v1/test/faults", {"rates": rates})

    async def advance_clock(self, hours: float) -> None:
        """All that falls due on the way happens. Returns when it has."""
        await self.call("POST", "/v1/test/clock", {"action": "advance", "seconds": round(hours * 3600)})

        async def has_arrived() -> bool:
            return bool((await self.call("GET", "/v1/test/clock"))["state"] != "advancing")

        await until(has_arrived)


class Service:
    """The service under test. If yours is a process, start and stop that."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.endpoint: Any = None

    async def start(self) -> None:
        self._runner = web.AppRunner(self.shop.app())
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def place_order(self, **order: Any) -> int:
        """The status."""
        async with aiohttp.ClientSession() as http, http.post(f"{self.url}/orders", json=order) as response:
            return response.status


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not await condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


def wait_until_ready(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 2 * DEADLINE_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urlopen(f"{url}/health/ready", timeout=2):
                return
        except (URLError, OSError):
            time.sleep(0.1)
    pytest.fail(f"no gateway at {url}; see what it printed")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
