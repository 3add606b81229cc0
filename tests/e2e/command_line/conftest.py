"""A gateway that other people's services are tested against, and the command line beside it, each a process of its own."""

import asyncio
import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from shared.mongo import Client
from tests.http_double import HttpDouble, http_double
from tests.waiting import DEADLINE_SECONDS, until
from tools.process import free_port
from tools.stack import Service

API_KEY = "development-key"  # the command line's default
PROGRAM = str(Path(sys.executable).with_name("payment-gateway"))
COMMAND_SECONDS = 60


@dataclass(frozen=True)
class Ended:
    status: int
    out: str
    talk: str

    @property
    def json(self) -> Any:
        """The one line that it printed."""
        [line] = self.out.splitlines()
        return json.loads(line)


@dataclass
class Listening:
    """`payment-gateway listen --json`, once it is registered. `shown` are the deliveries that it has printed."""

    process: asyncio.subprocess.Process
    announced: dict[str, Any]
    shown: deque[dict[str, Any]]

    async def shows(self, count: int) -> list[dict[str, Any]]:
        async def has_shown() -> bool:
            return len(self.shown) >= count

        await until(has_shown, f"{count} deliveries are shown")
        return list(self.shown)

    async def ends(self) -> tuple[int, str]:
        """Its exit status, and all that it has said."""
        assert self.process.stderr is not None
        talk = await asyncio.wait_for(self.process.stderr.read(), COMMAND_SECONDS)
        return await self.process.wait(), talk.decode()


@dataclass(frozen=True)
class CommandLine:
    gateway_url: str

    @property
    def environment(self) -> Mapping[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in {"WEBHOOK_SECRET", "NO_COLOR"}}
        return {**kept, "PAYMENT_GATEWAY_URL": self.gateway_url, "PAYMENT_GATEWAY_API_KEY": API_KEY}

    async def __call__(self, *words: str) -> Ended:
        ran = await asyncio.to_thread(
            subprocess.run,
            [PROGRAM, *words],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )
        return Ended(ran.returncode, ran.stdout, ran.stderr)

    @asynccontextmanager
    async def listening(self, forward_to: str, *options: str) -> AsyncIterator[Listening]:
        process = await asyncio.create_subprocess_exec(
            *(PROGRAM, "listen", "--json", "--forward-to", forward_to, *options),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        stdout = process.stdout
        shown: deque[dict[str, Any]] = deque()

        async def read() -> None:
            while line := await stdout.readline():
                shown.append(json.loads(line))

        try:
            announced = json.loads(await asyncio.wait_for(stdout.readline(), COMMAND_SECONDS))
            reading = asyncio.create_task(read())
            yield Listening(process, announced, shown)
        finally:
            if process.returncode is None:
                process.terminate()
            await asyncio.wait_for(process.wait(), COMMAND_SECONDS)
        await reading


@pytest.fixture(scope="session")
async def gateway(mongo: Client, mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    port, database = free_port(), f"test_{uuid4().hex[:16]}"
    environment = {
        "APP_ENV": "development",
        "MONGODB_URI": mongodb_uri,
        "LOG_FORMAT": "json",
        "PAYMENT_GATEWAY_DATABASE": database,
        "PAYMENT_GATEWAY_PORT": str(port),
        "PAYMENT_GATEWAY_API_KEYS": API_KEY,
        "WEBHOOK_RETRY_SCHEDULE_SECONDS": ",".join(["0.1"] * 20),
        "CHARGE_DELAY_SECONDS": "0",
    }
    service = Service("payment_gateway", port, environment, tmp_path_factory.mktemp("logs") / "payment_gateway.log")
    try:
        await asyncio.to_thread(service.start)
        yield service
    finally:
        await asyncio.to_thread(service.stop)
    await mongo.drop_database(database)


class Merchant:
    """The gateway over HTTP, which is quicker than a process for what a test only needs to be there."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def call(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._http.request(method, path, json=body, headers={"Idempotency-Key": uuid4().hex})
        answer.raise_for_status()
        return answer.json()

    def listed(self, what: str) -> list[Any]:
        return list(self.call("GET", f"/v1/{what}")["data"])

    def endpoint(self, url: str) -> Any:
        return self.call("POST", "/v1/webhook-endpoints", {"url": url})

    async def charge(self, **changes: Any) -> Any:
        """One that has settled."""
        body = {"amount": 1000, "currency": "USD", "reference": f"ord-{uuid4().hex}", **changes}
        made = self.call("POST", "/v1/charges", body)

        async def has_settled() -> bool:
            made.update(self.call("GET", f"/v1/charges/{made['id']}"))
            return bool(made["status"] != "pending")

        await until(has_settled, "the charge has settled")
        return made

    async def delivered(self, count: int) -> list[Any]:
        """All deliveries, once there are `count` and every one is delivered."""
        found: list[Any] = []

        async def are_delivered() -> bool:
            found[:] = self.listed("deliveries")
            return len(found) >= count and all(one["state"] == "delivered" for one in found)

        await until(are_delivered, f"{count} deliveries")
        return found


@pytest.fixture
def merchant(gateway: Service) -> Iterator[Merchant]:
    """Of a gateway that remembers nothing of other tests."""
    headers = {"Authorization": f"Bearer {API_KEY}"}
    with httpx.Client(base_url=gateway.url, headers=headers, timeout=DEADLINE_SECONDS) as http:
        made = Merchant(http)
        made.call("POST", "/v1/test/reset", {})
        yield made


@pytest.fixture
def command(gateway: Service, merchant: Merchant) -> CommandLine:
    """`await command("status", "--json")`"""
    return CommandLine(gateway.url)


@pytest.fixture
async def service() -> AsyncIterator[HttpDouble]:
    """Somebody's service, which takes webhooks."""
    async with http_double() as double:
        yield double
