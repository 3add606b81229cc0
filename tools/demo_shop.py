"""The client that `make demo` plays: it uses order_api, and also has the gateway's key and the webhook secret."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import msgspec

from shared.signing import sign
from shared.wire import RawPage
from tools.stack import Stack

SETTLED_WITHIN_SECONDS = 10.0

Json = dict[str, Any]


class UnexpectedError(Exception):
    """The services did not do what the demo claims. The message says what they did."""


class Shop:
    """A client of order_api that also has the gateway's key and the webhook secret. Remembers orders between steps."""

    paid: Json
    declined: Json
    survivor: Json

    def __init__(self, stack: Stack, http: aiohttp.ClientSession) -> None:
        self._orders = f"{stack.order_apis[0].url}/api/orders"
        self._webhooks = f"{stack.order_apis[0].url}/api/webhooks/payments"
        self._gateway = f"{stack.gateways[0].url}/v1"
        self._gateway_key = {"Authorization": f"Bearer {stack.api_key}"}
        self._http = http
        self.webhook_secret = stack.webhook_secret

    async def place(self, key: str, order: Json) -> tuple[int, Json, bool]:
        """Status, body, and whether it is the answer to an earlier request."""
        async with self._http.post(self._orders, json=order, headers={"Idempotency-Key": f'"{key}"'}) as response:
            replayed = response.headers.get("Idempotent-Replayed") == "true"
            return response.status, msgspec.json.decode(await response.read()), replayed

    async def settled(self, order_id: str) -> Json:
        """Returns the order once it is no longer Pending. Raises UnexpectedError."""
        return await self.once(order_id, "it settles", lambda order: order["status"] != "Pending")

    async def once(self, order_id: str, claim: str, holds: Callable[[Json], bool]) -> Json:
        """Returns the order once the claim about it holds. Raises UnexpectedError."""
        deadline = time.monotonic() + SETTLED_WITHIN_SECONDS
        while not holds(order := await self.order(order_id)):
            expect(time.monotonic() < deadline, f"{order['orderNumber']}: {claim}", str(order))
            await asyncio.sleep(0.1)
        return order

    async def refund(self, key: str, order: Json, refund: Json) -> tuple[int, Json]:
        return await self._post(f"{order['id']}/refunds", json=refund, headers={"Idempotency-Key": f'"{key}"'})

    async def pay_again(self, key: str, order: Json, payment_method: str) -> tuple[int, Json]:
        headers = {"Idempotency-Key": key}
        return await self._post(f"{order['id']}/payments", json={"paymentMethod": payment_method}, headers=headers)

    async def cancel(self, order: Json) -> tuple[int, Json]:
        return await self._post(f"{order['id']}/cancel")

    async def order(self, order_id: str) -> Json:
        return await self._get(f"{self._orders}/{order_id}")

    async def orders_numbered(self, number: str) -> list[Json]:
        return as_list((await self._get(self._orders, orderNumber=number))["data"])

    async def events_of(self, order: Json) -> list[Json]:
        return as_list((await self._get(f"{self._orders}/{order['id']}/events"))["data"])

    async def timeline_of(self, order: Json) -> list[Json]:
        return as_list((await self._get(f"{self._orders}/{order['id']}/timeline"))["data"])

    async def charges_of(self, order: Json) -> list[Json]:
        return as_list((await self._get(f"{self._gateway}/charges", reference=order["id"]))["data"])

    async def event_bytes(self, order: Json) -> bytes:
        """The one event of an order exactly as the provider sent it."""
        async with self._http.get(
            f"{self._gateway}/events", params={"reference": order["id"]}, headers=self._gateway_key
        ) as response:
            events = msgspec.json.decode(await response.read(), type=RawPage).data
        expect(len(events) == 1, "the provider has one event of the order", f"it has {len(events)}")
        return bytes(events[0])

    async def send_webhook(self, body: bytes, secret: str) -> tuple[int, Json]:
        headers = {"Content-Type": "application/json", "X-Signature": sign(body, [secret], int(time.time()))}
        async with self._http.post(self._webhooks, data=body, headers=headers) as response:
            return response.status, msgspec.json.decode(await response.read())

    async def _post(self, path: str, **options: Any) -> tuple[int, Json]:
        async with self._http.post(f"{self._orders}/{path}", **options) as response:
            return response.status, msgspec.json.decode(await response.read())

    async def _get(self, url: str, **query: str) -> Json:
        headers = self._gateway_key if url.startswith(self._gateway) else None
        async with self._http.get(url, params=query, headers=headers) as response:
            body: Json = msgspec.json.decode(await response.read())
            expect(response.status == 200, f"GET {response.url.path} is answered with 200", f"{response.status} {body}")
            return body


def expect(held: bool, claim: str, got: str) -> None:
    if not held:
        raise UnexpectedError(f"expected: {claim}\ngot: {got}")


def is_problem(problem: Json, status: int, wanted: int, name: str) -> bool:
    return status == problem.get("status") == wanted and slug(problem) == name


def slug(problem: Json) -> str:
    return str(problem.get("type", "")).rpartition("/")[2]


def as_list(data: Any) -> list[Json]:
    return msgspec.convert(data, list[Json])
