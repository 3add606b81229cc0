"""The gateway alone, and a shop: it charges over HTTP, and receives webhooks as the official libraries tell it to."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import aiohttp
import pytest
import standardwebhooks
import stripe
from multidict import CIMultiDict, CIMultiDictProxy

from shared.mongo import Client
from tests.http_double import Asked, HttpDouble
from tests.waiting import DEADLINE_SECONDS, until
from tools.process import free_port
from tools.stack import Credentials, Service

CREDENTIALS = Credentials.new()
RECEIVER = Path(__file__).parents[3] / "services/payment_gateway/examples/receiver.py"
PATIENCE = aiohttp.ClientTimeout(total=DEADLINE_SECONDS)  # an early webhook may hold its reply back for 20 s
StartGateway = Callable[..., AbstractAsyncContextManager[Service]]


@dataclass
class Reply:
    """What a POST was answered; status 0 if the connection closed without an answer."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """`examples/receiver.py`, a process that writes what it hears to `said` before it answers."""

    url: str
    said: Path
    _asked: list[Asked] = field(default_factory=list)
    _read_bytes: int = 0

    @property
    def asked(self) -> list[Asked]:
        """All that it has been sent, in order."""
        with self.said.open("rb") as lines:
            lines.seek(self._read_bytes)
            for line in lines:
                if not line.endswith(b"\n"):
                    break  # the rest is being written
                self._read_bytes += len(line)
                one = json.loads(line)
                headers = CIMultiDictProxy(CIMultiDict(one["headers"]))
                self._asked.append(Asked("POST", one["path"], {}, headers, one["body"].encode()))
        return self._asked


@dataclass
class Shop:
    http: aiohttp.ClientSession
    url: str
    receiver: HttpDouble | Receiver

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        given = {"Authorization": f"Bearer {CREDENTIALS.api_key}", **headers}
        try:
            async with self.http.request(
                method, self.url + path, json=body, headers=given, timeout=PATIENCE
            ) as response:
                named = {name.lower(): value for name, value in response.headers.items()}
                return Reply(response.status, named, await response.read())
        except aiohttp.ServerDisconnectedError:
            return Reply(0)

    async def charge(self, key: str = "", **changes: Any) -> Reply:
        body = {"amount": 9999, "currency": "USD", "reference": f"ord-{uuid4().hex}", **changes}
        return await self.call("POST", "/v1/charges", body, **{"Idempotency-Key": key or uuid4().hex})

    async def refund(self, charge_id: str, **changes: Any) -> Reply:
        body = {"amount": 1000, "reference": f"rf-{uuid4().hex}", **changes}
        return await self.call("POST", f"/v1/charges/{charge_id}/refunds", body, **{"Idempotency-Key": uuid4().hex})

    async def paid(self, **changes: Any) -> Any:
        """A charge that has succeeded."""
        charge = (await self.charge(**changes)).json
        return await self.ended(f"/v1/charges/{charge['id']}")

    async def ended(self, path: str) -> Any:
        found: dict[str, Any] = {}

        async def has_ended() -> bool:
            found.update((await self.call("GET", path)).json)
            return bool(found["status"] != "pending")

        await until(has_ended, f"{path} has ended")
        return found

    async def listed(self, path: str) -> list[Any]:
        """The first page, newest first."""
        return list((await self.call("GET", path)).json["data"])

    def heard(self, object_id: str) -> list[Asked]:
        """What the receiver was sent about a charge or refund, as it came."""
        return [one for one in self.receiver.asked if object_id.encode() in one.body]

    async def hears(self, object_id: str, times: int = 1) -> list[Asked]:
        async def has_heard() -> bool:
            return len(self.heard(object_id)) >= times

        await until(has_heard, f"{times} webhooks about {object_id}")
        return self.heard(object_id)

    async def hears_truth(self, object_id: str) -> list[Asked]:
        """All that it was sent up to what it accepted."""

        async def has_heard() -> bool:
            return any(verdicts(one) == [True, True] for one in self.heard(object_id))

        await until(has_heard, f"a true webhook about {object_id}")
        return self.heard(object_id)

    async def deliveries(self, object_id: str, count: int = 1) -> list[Any]:
        """Of all events about a charge or refund, once there are so many and none is pending."""
        found: list[Any] = []

        async def are_over() -> bool:
            events = [event for event in await self.listed("/v1/events?limit=100") if event["data"]["id"] == object_id]
            found[:] = [one for event in events for one in await self.listed(f"/v1/deliveries?eventId={event['id']}")]
            return len(found) >= count and all(one["state"] != "pending" for one in found)

        await until(are_over, f"{count} deliveries about {object_id} are over")
        return found


def verdicts(asked: Asked, secret: str = CREDENTIALS.webhook_secret) -> list[bool]:
    """Whether stripe's library accepts it, and standardwebhooks'."""
    headers = dict(asked.headers)
    accepted = [True, True]
    try:
        stripe.WebhookSignature.verify_header(asked.body.decode(), headers["X-Signature"], secret, 300)
    except stripe.SignatureVerificationError:
        accepted[0] = False
    try:
        standardwebhooks.Webhook(secret).verify(asked.body, headers)
    except standardwebhooks.WebhookVerificationError:
        accepted[1] = False
    return accepted


@pytest.fixture(scope="session")
async def receiver(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Receiver]:
    """Run on its own; it accepts what both libraries do."""
    port, said = free_port(), tmp_path_factory.mktemp("receiver") / "said.jsonl"
    with said.open("wb") as out:
        process = spawn_receiver(port, out)
    try:
        await until(lambda: listens(port), "the receiver listens")
        yield Receiver(f"http://127.0.0.1:{port}", said)
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, DEADLINE_SECONDS)


def spawn_receiver(port: int, out: IO[bytes]) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "WEBHOOK_SECRET": CREDENTIALS.webhook_secret}
    return subprocess.Popen(
        [sys.executable, RECEIVER, str(port)], stdout=out, stderr=subprocess.DEVNULL, env=environment
    )


async def listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


@asynccontextmanager
async def running_gateway(
    uri: str, database: str, receiver_url: str, logs: Path, **settings: str
) -> AsyncIterator[Service]:
    """Started and stopped while the receiver goes on answering."""
    port = free_port()
    environment = {
        "APP_ENV": "development",
        "MONGODB_URI": uri,
        "LOG_FORMAT": "json",
        "PAYMENT_GATEWAY_DATABASE": database,
        "PAYMENT_GATEWAY_PORT": str(port),
        "PAYMENT_GATEWAY_API_KEYS": CREDENTIALS.api_key,
        "WEBHOOK_ENDPOINT_URL": f"{receiver_url}/hooks",
        "WEBHOOK_ENDPOINT_SECRET": CREDENTIALS.webhook_secret,
        "WEBHOOK_RETRY_SCHEDULE_SECONDS": ",".join(["0.1"] * 20),
        "CHARGE_DELAY_SECONDS": "0",
        **settings,
    }
    service = Service("payment_gateway", port, environment, logs / f"payment_gateway_{port}.log")
    try:
        await asyncio.to_thread(service.start)
        yield service
    finally:
        await asyncio.to_thread(service.stop)


@pytest.fixture(scope="session")
async def gateway(
    mongo: Client, mongodb_uri: str, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    database = f"test_{uuid4().hex[:16]}"
    async with running_gateway(mongodb_uri, database, receiver.url, tmp_path_factory.mktemp("logs")) as service:
        yield service
    await mongo.drop_database(database)


@pytest.fixture
def shop(http: aiohttp.ClientSession, gateway: Service, receiver: Receiver) -> Shop:
    return Shop(http, gateway.url, receiver)


@pytest.fixture
def start_gateway(mongodb_uri: str, database_name: str, receiver: Receiver, tmp_path: Path) -> StartGateway:
    """`async with start_gateway(HTTP_REQUESTS_MAX="2") as gateway`: one of the test's own, on a database of its own."""

    def start(**settings: str) -> AbstractAsyncContextManager[Service]:
        return running_gateway(mongodb_uri, database_name, receiver.url, tmp_path, **settings)

    return start
