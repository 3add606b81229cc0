"""A service that takes payments through the gateway: the code under test. It has what any such service needs: a key that
stays the same when it asks again, a signature that is checked over the raw bytes, events that count once, and amounts that
must be the order's.

`python shop.py` serves it on port 9000, and shows what it is asked.
"""

import asyncio
import json
import logging
import os
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

ATTEMPTS_MAX = 8
CURRENCY = "EUR"

log = logging.getLogger(__name__)


@dataclass
class Shop:
    """Orders in memory: what each costs and what is paid of it, in minor units."""

    gateway_url: str
    api_key: str
    webhook_secret: str
    cost: dict[str, int] = field(default_factory=dict)
    paid: dict[str, int] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)

    def app(self) -> web.Application:
        app = web.Application()
        app.add_routes([web.post("/orders", self.place_order), web.post("/webhooks", self.receive_webhook)])
        return app

    async def place_order(self, request: web.Request) -> web.Response:
        order = await request.json()
        self.cost[order["id"]] = order["amount"]
        self.paid.setdefault(order["id"], 0)
        await self.charge(order)
        return web.json_response(order, status=201)

    async def charge(self, order: dict[str, Any]) -> None:
        """The same key until there is an answer: however often this asks, the customer pays once."""
        amount, method = order["amount"], order["paymentMethod"]
        asked = {"amount": amount, "currency": CURRENCY, "reference": order["id"], "paymentMethod": method}
        headers = {"Authorization": f"Bearer {self.api_key}", "Idempotency-Key": f"charge-{order['id']}"}
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http:
            for attempt in range(ATTEMPTS_MAX):
                try:
                    async with http.post(f"{self.gateway_url}/v1/charges", json=asked, headers=headers) as response:
                        if response.status == 201 and (await response.json())["reference"] == order["id"]:
                            return
                except (aiohttp.ClientError, TimeoutError, ValueError):
                    pass  # it may have been charged or not: ask again
                await asyncio.sleep(0.1 * 2**attempt)
        raise web.HTTPServiceUnavailable

    async def receive_webhook(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            Webhook(self.webhook_secret).verify(body, dict(request.headers))
        except (WebhookVerificationError, ValueError):
            raise web.HTTPUnauthorized from None
        event = json.loads(body)
        if event["type"] == "payment.succeeded" and event["id"] not in self.seen:
            charge = event["data"]
            if (charge["amount"], charge["currency"]) == (self.cost.get(charge["reference"]), CURRENCY):
                self.paid[charge["reference"]] += charge["amount"]
            else:
                log.warning("somebody should look at this: %s", charge)
        self.seen.add(event["id"])
        return web.Response()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    shop = Shop(
        os.environ.get("PAYMENT_GATEWAY_URL", "http://127.0.0.1:8001"),
        os.environ.get("PAYMENT_GATEWAY_API_KEY", "development-key"),
        os.environ["WEBHOOK_SECRET"],
    )
    web.run_app(shop.app(), host="127.0.0.1", port=9000)
