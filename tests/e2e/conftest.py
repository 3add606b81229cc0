"""Both services as real processes."""

import asyncio
import json
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import aiohttp
import httpx
import pytest
from playwright.async_api import Browser, async_playwright

from payment_gateway.faults.rates import RATED
from shared.mongo import Client, Collection, Database
from shared.signing import sign
from shared.times import utc_now
from tests.e2e.forks import Forks
from tests.waiting import DEADLINE_SECONDS, until
from tools import process
from tools.paid_charge import event_of, paid_charge
from tools.process import free_port
from tools.stack import Stack

StartStack = Callable[..., AbstractContextManager[Stack]]

# Retries soon enough for a test to see them.
SOON = {
    "CHARGE_DELAY_SECONDS": "0.2",
    "WEBHOOK_RETRY_SCHEDULE_SECONDS": ",".join(["1"] * 60),
    "RECONCILE_AFTER_SECONDS": "3",
}

# Everything that the provider can do wrong, often enough to come up among some hundred orders, and soon over.
# Disputes are left out: one that nobody closes is never over. chaos draws and closes them.
RATES = {name: 0.05 if name.startswith("reply_") else 0.1 for name in RATED if name != "disputed"}
EVERY_FAULT: dict[str, Any] = {
    "rates": RATES,
    "settleDelaySeconds": 1,
    "replySeconds": 0.3,
    "retryAfterSeconds": 1,
    "webhookDelaySeconds": 1,
}
# The waits between attempts double, so with many faults in a row a test would wait for the unluckiest order.
_NOW_AND_THEN = {
    name: 0.02 if name.startswith("reply_") else rate for name, rate in RATES.items() if name != "declined"
}

# Marks tests whose promise holds whatever the provider does, as long as it declines no card.
whatever_the_provider_does = pytest.mark.parametrize(
    "faults", [None, {**EVERY_FAULT, "rates": _NOW_AND_THEN}], ids=["no faults", "every fault"]
)


@pytest.fixture(scope="session", autouse=True)
def forked_services() -> Iterator[None]:
    """A service starts without being imported anew; not for the tests that have `as_programs`."""
    if sys.platform != "linux":  # elsewhere, what has been imported may not survive a fork
        yield
        return
    forks = Forks()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tools.stack.spawn", forks.spawn)
        yield
    forks.close()


@pytest.fixture
def as_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Services start as people start them."""
    monkeypatch.setattr("tools.stack.spawn", process.spawn)


@pytest.fixture
def faults() -> dict[str, Any] | None:
    """What the provider does wrong where a test does not say."""
    return None


@pytest.fixture
def start_stack(mongodb_uri: str, database_name: str, tmp_path: Path, faults: dict[str, Any] | None) -> StartStack:
    """`with start_stack(order_apis=2, gateways=1, CHARGE_DELAY_SECONDS="5") as stack`"""

    def start(*, uri: str = mongodb_uri, **options: Any) -> AbstractContextManager[Stack]:
        return running_stack(uri, database_name, tmp_path, faults=faults, **options)

    return start


@contextmanager
def running_stack(
    uri: str,
    database_name: str,
    logs: Path,
    *,
    order_apis: int = 1,
    gateways: int = 1,
    faults: dict[str, Any] | None = None,
    **settings: str,
) -> Iterator[Stack]:
    databases = {"ORDER_API_DATABASE": database_name, "PAYMENT_GATEWAY_DATABASE": f"{database_name}_gateway"}
    stack = Stack(
        uri,
        logs,
        order_apis=[free_port() for _ in range(order_apis)],
        gateways=[free_port() for _ in range(gateways)],
        environment={**SOON, **databases, **settings},
    )
    with stack.running():
        if faults:
            put_faults(stack, faults)
        yield stack


def put_faults(stack: Stack, faults: dict[str, Any]) -> None:
    bearer = {"Authorization": f"Bearer {stack.api_key}"}
    url = f"{stack.gateways[0].url}/v1/test/faults"
    httpx.put(url, json=faults, headers=bearer, timeout=DEADLINE_SECONDS).raise_for_status()


def set_clock(stack: Stack, action: Literal["freeze", "resume"]) -> None:
    """Sets the provider's clock. While it is frozen, no charge settles."""
    bearer = {"Authorization": f"Bearer {stack.api_key}"}
    url = f"{stack.gateways[0].url}/v1/test/clock"
    httpx.post(url, json={"action": action}, headers=bearer, timeout=DEADLINE_SECONDS).raise_for_status()


@pytest.fixture
async def databases(mongo: Client, database_name: str) -> AsyncIterator[tuple[Database, Database]]:
    """order_api's and the gateway's."""
    yield mongo[database_name], mongo[f"{database_name}_gateway"]
    await mongo.drop_database(f"{database_name}_gateway")


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        yield session


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is missing: apt-get install chromium")
    async with async_playwright() as playwright:
        # Without a graphics card it would draw each picture in software, for a third of the CPU of these tests.
        options = ["--no-sandbox", "--disable-gpu"]
        chromium = await playwright.chromium.launch(executable_path=program, args=options)
        yield chromium
        await chromium.close()


JSON = {"Content-Type": "application/json"}


class Api:
    """Requests to one order_api."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url

    async def call(self, method: str, path: str, **options: Any) -> tuple[int, dict[str, str], Any]:
        async with self._http.request(method, self._url + path, **options) as response:
            body = await response.read()
            return response.status, {name.lower(): value for name, value in response.headers.items()}, _json(body)

    async def place(self, body: Any, key: str | None = "fresh", **headers: str) -> tuple[int, dict[str, str], Any]:
        sent = {**JSON, **headers}
        if key is not None:
            sent["Idempotency-Key"] = uuid4().hex if key == "fresh" else key
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.call("POST", "/api/orders", data=data, headers=sent)


def order_body(**changes: Any) -> dict[str, Any]:
    return {"orderNumber": f"ORD-{uuid4().hex[:12]}", "amount": 99.99, "currency": "USD", **changes}


async def place_until_acknowledged(http: aiohttp.ClientSession, urls: Callable[[], str], body: dict[str, Any]) -> str:
    """Places as Stripe's SDK does: the same key until there is an answer. Returns the order's id."""
    headers = {"Idempotency-Key": uuid4().hex}
    while True:
        try:
            async with http.post(f"{urls()}/api/orders", json=body, headers=headers) as response:
                if response.status == 201:
                    return str((await response.json())["id"])
                assert response.status in {409, 503}, await response.text()
        except (aiohttp.ClientConnectionError, TimeoutError):
            pass
        await asyncio.sleep(0.05)


async def assert_each_paid_and_charged_once(databases: tuple[Database, Database], order_ids: list[str]) -> None:
    orders, gateway = databases
    assert len(set(order_ids)) == len(order_ids)
    assert await orders["orders"].count_documents({"_id": {"$in": order_ids}, "status": "Paid"}) == len(order_ids)
    charged = await gateway["charges"].distinct("reference", {"status": "succeeded"})
    assert sorted(charged) == sorted(order_ids)
    assert await gateway["charges"].count_documents({}) == len(order_ids)


CLAIMED = {"state": "open", "claim": {"$ne": None}}  # a call that somebody has in hand


def all_paid(databases: tuple[Database, Database], count: int) -> Any:
    async def condition() -> bool:
        return await databases[0]["orders"].count_documents({"status": "Paid"}) >= count

    return condition


async def end_leases(collection: Collection) -> None:
    """As if their time had come."""
    past = utc_now() - timedelta(seconds=1)
    await collection.update_many({"lease_until": {"$ne": None}}, {"$set": {"lease_until": past}})


async def end_claims(orders: Collection, **which: Any) -> None:
    """As if the leases had ended of all calls that are claimed and are as said."""
    await make_due(orders, {**CLAIMED, **which})


async def make_due(orders: Collection, which: Mapping[str, Any]) -> None:
    """As if the time of these calls had come."""
    past = utc_now() - timedelta(seconds=1)
    await orders.update_many(
        {"calls": {"$elemMatch": which}},
        {"$set": {"calls.$[call].due_at": past, "due_at": past}, "$inc": {"version": 1}},
        array_filters=[{f"call.{name}": value for name, value in which.items()}],
    )


async def ends(api: Api, order_id: str, status: str, **options: Any) -> dict[str, Any]:
    """The order, once it has this status."""
    found: dict[str, Any] = {}

    async def has_ended() -> bool:
        found.update((await api.call("GET", f"/api/orders/{order_id}", **options))[2])
        return bool(found["status"] == status)

    await until(has_ended, f"{order_id} is {status}")
    return found


def send_event_with_another_amount(stack: Stack, order_id: str) -> Any:
    """Signed, and so stored, with a review. Returns what became of it."""
    event = event_of(paid_charge(order_id, amount=1))
    signed = {"X-Signature": sign(event, [stack.webhook_secret], int(time.time())), **JSON}
    url = f"{stack.order_apis[0].url}/api/webhooks/payments"
    return httpx.post(url, content=event, headers=signed, timeout=DEADLINE_SECONDS).json()


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")
