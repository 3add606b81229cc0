"""Serves the textbook service: `python -m tools.textbook`, with the settings of order_api that it knows."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import uvicorn
from litestar import Litestar, Request, Response, get, post
from litestar.exceptions import ClientException, NotAuthorizedException
from litestar.logging import LoggingConfig

from tools.textbook.charge_orders import charge_orders
from tools.textbook.database import Database
from tools.textbook.place_order import NewOrder, place_order
from tools.textbook.receive_webhook import is_signed, receive_webhook

PROVIDER_TIMEOUT = aiohttp.ClientTimeout(total=10)


@post("/api/orders")
async def create_order(request: Request[Any, Any, Any], data: NewOrder) -> Response[bytes]:
    key = request.headers.get("Idempotency-Key", "")
    if not 1 <= len(key) <= 255:
        raise ClientException("an Idempotency-Key of 1 to 255 characters is needed")
    answer = await place_order(request.app.state.database, key, data)
    return Response(answer.body, status_code=answer.status, media_type="application/json")


@post("/api/webhooks/payments", status_code=200)
async def create_event(request: Request[Any, Any, Any]) -> dict[str, str]:
    body = await request.body()
    if not is_signed(request.headers.get("X-Signature", ""), body, os.environ["WEBHOOK_SECRETS"]):
        raise NotAuthorizedException
    try:
        return {"outcome": await receive_webhook(request.app.state.database, body)}
    except msgspec.DecodeError as error:
        raise ClientException(str(error)) from None


@get("/health/ready")
async def ready(request: Request[Any, Any, Any]) -> dict[str, str]:
    await request.app.state.database.client.admin.command("ping")
    return {"status": "ready"}


@asynccontextmanager
async def running(app: Litestar) -> AsyncIterator[None]:
    database = app.state.database = Database(os.environ["MONGODB_URI"], os.environ["ORDER_API_DATABASE"])
    await database.prepare()
    url, key = os.environ["PAYMENT_GATEWAY_URL"], os.environ["PAYMENT_GATEWAY_API_KEY"]
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(url, headers=headers, timeout=PROVIDER_TIMEOUT) as gateway:
        charging = asyncio.create_task(charge_orders(database, gateway))
        yield
        charging.cancel()
        await asyncio.wait([charging])
    await database.client.close()


if __name__ == "__main__":
    logging = LoggingConfig(log_exceptions="always")
    app = Litestar([create_order, create_event, ready], lifespan=[running], logging_config=logging)
    port = int(os.environ["ORDER_API_PORT"])
    uvicorn.run(app, port=port, loop="uvloop", http="httptools", access_log=False, log_level="warning")
