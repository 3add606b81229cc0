"""order_api against a real MongoDB and a provider that answers as a test says."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from aiohttp import web
from bson import Int64

from order_api.app import Application
from order_api.event import ReceivedEvent, parse_event
from order_api.order import Order
from order_api.place_order import NewOrder
from order_api.settings import Settings
from shared import wire
from shared.env import Secret
from shared.idempotency import Answer
from shared.ids import new_id
from shared.times import rfc3339, utc_now
from tests.http_double import Asked, HttpDouble, http_double

API_KEY = Secret("test-key")
MakeApplication = Callable[..., AbstractAsyncContextManager[Application]]


@pytest.fixture
async def provider() -> AsyncIterator[HttpDouble]:
    async with http_double(accept_charges) as double:
        yield double


@pytest.fixture
def make_application(mongodb_uri: str, database_name: str, provider: HttpDouble) -> MakeApplication:
    """A replica of order_api on the test's database, its writers running; its workers only if told."""

    @asynccontextmanager
    async def make(*, workers: bool = False, **settings: Any) -> AsyncIterator[Application]:
        application = Application(
            Settings(
                mongodb_uri=Secret(mongodb_uri),
                app_env="development",
                order_api_database=database_name,
                payment_gateway_url=provider.url,
                payment_gateway_api_key=API_KEY,
                **settings,
            )
        )
        async with application.running(workers=workers):
            yield application

    return make


@pytest.fixture
async def application(make_application: MakeApplication) -> AsyncIterator[Application]:
    async with make_application() as made:
        yield made


def new_order(**changes: Any) -> NewOrder:
    fields: dict[str, Any] = {
        "merchant": "default",
        "order_number": f"ORD-{uuid4().hex[:12]}",
        "amount_minor": 9999,
        "currency": "USD",
        "payment_method": "pm_card_visa",
        "metadata": {},
    }
    return NewOrder(**{**fields, **changes})


async def place(application: Application, **changes: Any) -> Order:
    answer = await application.place_order(uuid4().hex, new_order(**changes))
    assert isinstance(answer, Answer)
    return await stored_order(application, answer.location.rpartition("/")[2])


async def stored_order(application: Application, order_id: str) -> Order:
    return await application.store.order("default", order_id)


async def document_of(application: Application, order: Order) -> dict[str, Any]:
    """The order as MongoDB keeps it."""
    document = await application.store.orders.find_one({"_id": order.id})
    assert document is not None
    return document


async def calls_of(application: Application, **wanted: Any) -> list[dict[str, Any]]:
    """The calls of all orders that are as `wanted`, the oldest first."""
    orders = await application.store.orders.find().sort("_id").to_list()
    calls = [call for order in orders for call in order["calls"]]
    return [call for call in calls if wanted.items() <= call.items()]


async def charge_call_of(application: Application, order: Order) -> dict[str, Any]:
    [call] = await calls_of(application, kind="charge", reference=order.id)
    return call


async def edit_calls(application: Application, wanted: Mapping[str, Any], **changes: Any) -> None:
    """As somebody with mongosh would who knows how: the order's `due_at` and `version` follow."""
    fields = {f"calls.$[one].{name}": value for name, value in changes.items()}
    chosen = {f"one.{name}": value for name, value in (wanted or {"id": {"$exists": True}}).items()}
    await application.store.orders.update_many(
        {}, {"$set": fields, "$inc": {"version": Int64(1)}}, array_filters=[chosen]
    )
    is_open = {"$filter": {"input": "$calls", "as": "call", "cond": {"$eq": ["$$call.state", "open"]}}}
    await application.store.orders.update_many(
        {}, [{"$set": {"due_at": {"$min": {"$map": {"input": is_open, "as": "call", "in": "$$call.due_at"}}}}}]
    )


async def make_due(application: Application, **changes: Any) -> None:
    """All open calls are due now, those of whoever has claimed them too."""
    await edit_calls(application, {"state": "open"}, due_at=utc_now() - timedelta(seconds=1), **changes)


async def restore(application: Application, order: Order, order_id: str) -> None:
    """An order that turns up, as after a restore from a backup: this one under another id."""
    document = await document_of(application, order)
    call = {**document["calls"][0], "id": "obx_" + order_id.removeprefix("ord_"), "reference": order_id}
    document |= {"_id": order_id, "order_number": f"restored-{order_id}", "keys": [], "calls": [call]}
    await application.store.orders.insert_one(document)


def charge_of(order: Order, **changes: Any) -> wire.Charge:
    fields: dict[str, Any] = {
        "id": new_id("ch"),
        "amount": order.amount_minor,
        "currency": order.currency,
        "reference": order.id,
        "status": "succeeded",
        "failure_code": None,
        "amount_refunded": 0,
        "payment_method": "pm_card_visa",
        "metadata": {},
        "created_at": utc_now(),
        "settled_at": utc_now(),
    }
    return wire.Charge(**{**fields, **changes})


def refund_of(order: Order, **changes: Any) -> wire.Refund:
    """What the provider says of the order's open refund."""
    asked = next(refund for refund in order.refunds if refund.state == "requested")
    fields: dict[str, Any] = {
        "id": new_id("re"),
        "charge_id": asked.charge_id,
        "charge_reference": order.id,
        "reference": asked.id,
        "amount": asked.amount_minor,
        "currency": order.currency,
        "status": "succeeded",
        "failure_code": None,
        "created_at": utc_now(),
        "settled_at": utc_now(),
    }
    return wire.Refund(**{**fields, **changes})


def event_bytes(
    charge: wire.Charge | wire.Refund, kind: wire.EventType = "payment.succeeded", event_id: str = ""
) -> bytes:
    event = wire.Event(id=event_id or new_id("evt"), type=kind, timestamp=utc_now(), data=charge)
    return wire.encode(event)


def as_json(charge: wire.Charge) -> dict[str, Any]:
    """As a list of the provider shows it."""
    document: dict[str, Any] = msgspec.json.decode(event_bytes(charge))["data"]
    return document


def received(raw: bytes) -> ReceivedEvent:
    return parse_event(raw, source="webhook", now=datetime.now(UTC))


async def accept_everything(asked: Asked) -> web.StreamResponse:
    """A provider that takes refunds too."""
    if asked.method == "GET" or asked.path == "/v1/charges":
        return await accept_charges(asked)
    refund = {
        "id": new_id("re"),
        "chargeId": asked.path.split("/")[3],
        "chargeReference": "",
        "currency": "USD",
        "status": "pending",
        "failureCode": None,
        "createdAt": rfc3339(utc_now()),
        "settledAt": None,
        **msgspec.json.decode(asked.body),
    }
    return web.json_response(refund, status=201)


async def accept_charges(asked: Asked) -> web.StreamResponse:
    """A provider that takes every charge, and has nothing to list."""
    if asked.method == "GET":
        return web.json_response({"data": [], "nextCursor": None})
    return web.Response(body=accepted(asked), status=201, content_type="application/json")


def accepted(asked: Asked, **changes: Any) -> bytes:
    request = msgspec.json.decode(asked.body)
    charge = {
        "id": "ch_" + asked.headers["Idempotency-Key"].removeprefix("obx_"),
        "status": "pending",
        "failureCode": None,
        "amountRefunded": 0,
        "metadata": {},
        "createdAt": rfc3339(utc_now()),
        "settledAt": None,
        **request,
        **changes,
    }
    return msgspec.json.encode(charge)
