"""order_api against a real MongoDB and a provider that answers as a test says."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeAlias
from uuid import uuid4

import httpx
import msgspec
import pytest
from aiohttp import web
from bson import Int64

from order_api.app import Application
from order_api.event import ReceivedEvent, StoredEvent, parse_event
from order_api.order import Order
from order_api.pay_order import NewPayment
from order_api.place_order import NewOrder
from order_api.problems import PROBLEMS
from order_api.refund_order import NewRefund
from order_api.refund_order import Outcome as RefundOutcome
from order_api.routes import ROUTES
from order_api.schema import ensure_schema
from order_api.settings import Settings
from shared import wire
from shared.edge.admit import Admission
from shared.edge.application import build
from shared.edge.problems import there
from shared.env import Secret
from shared.idempotency import Answer
from shared.ids import new_id
from shared.money import in_major, shortest
from shared.mongo import Client
from shared.pages import Paging
from shared.times import rfc3339, utc_now
from tests.http_double import Asked, HttpDouble, http_double
from tests.integration.kept_database import KeptDatabase, kept_database
from tests.waiting import DEADLINE_SECONDS
from tools.paid_charge import paid_charge

API_KEY = Secret("test-key")
MakeApplication = Callable[..., AbstractAsyncContextManager[Application]]
Subject: TypeAlias = wire.Charge | wire.Refund | wire.Dispute  # what an event is about


@pytest.fixture(scope="session")
async def kept(mongo: Client) -> AsyncIterator[KeptDatabase]:
    async with kept_database(mongo, ensure_schema) as kept:
        yield kept


@pytest.fixture
async def database_name(kept: KeptDatabase) -> AsyncIterator[str]:
    yield kept.name
    await kept.empty()


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider and the database may be as slow as the machine."""
    monkeypatch.setattr("shared.mongo.QUERY_SECONDS", DEADLINE_SECONDS)
    monkeypatch.setattr("order_api.gateway_client.CONNECT_SECONDS", DEADLINE_SECONDS)
    monkeypatch.setattr("order_api.gateway_client.REQUEST_SECONDS", DEADLINE_SECONDS)


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
        "amount": Decimal("99.99"),
        "currency": "USD",
        "payment_method": "pm_card_visa",
        "metadata": {},
    }
    return NewOrder(**{**fields, **changes})


async def place(application: Application, **changes: Any) -> Order:
    answer = await application.place_order(uuid4().hex, new_order(**changes))
    assert isinstance(answer, Answer)
    return await stored_order(application, answer.location.rpartition("/")[2])


async def paid(application: Application, **changes: Any) -> Order:
    """An order of which one charge has succeeded."""
    order = await place(application, **changes)
    await application.record_events(received(event_bytes(charge_of(order))))
    return await stored_order(application, order.id)


async def declined(application: Application) -> Order:
    """An order of which the provider took the charge, and then failed it."""
    order = await place(application)
    await application.dispatch_outbox.work.run_once()
    [pending] = (await stored_order(application, order.id)).charges
    failed = charge_of(order, id=pending.id, status="failed", failure_code="card_declined")
    await application.record_events(received(event_bytes(failed, "payment.failed")))
    return await stored_order(application, order.id)


async def pay_again(application: Application, order: Order) -> Order:
    """The failed order with another attempt to pay it."""
    outcome = await application.pay_order(uuid4().hex, order.merchant, order.id, NewPayment("pm_card_mastercard"))
    assert isinstance(outcome, Answer), outcome
    return await stored_order(application, order.id)


async def refund(
    application: Application, order: Order, amount_minor: int | None = None, *, key: str = "", number: str | None = None
) -> RefundOutcome:
    amount = None if amount_minor is None else shortest(in_major(amount_minor, order.exponent))
    new = NewRefund(amount, number)
    return await application.refund_order(key or uuid4().hex, order.merchant, order.id, new, amount_minor)


async def expire(application: Application, key: str) -> None:
    """As if the key had been used more than a day ago."""
    past = utc_now() - timedelta(seconds=1)
    await application.store.orders.update_one(
        {"keys.value": key}, {"$set": {"keys.$.expires_at": past}, "$inc": {"version": Int64(1)}}
    )


def client_of(application: Application) -> httpx.AsyncClient:
    """Somebody who uses the HTTP API of this replica, with no socket between."""
    admission = Admission(application.keys, requests_max=200)
    app = build(
        "order_api", ROUTES, admission=admission, parts=vars(application), problems=PROBLEMS, running=_runs_already
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://order-api")  # type: ignore[arg-type]


@asynccontextmanager
async def _runs_already() -> AsyncIterator[None]:
    yield


async def stored_order(application: Application, order_id: str) -> Order:
    return there(await application.store.order("default", order_id))


async def events_of(application: Application, order: Order) -> list[StoredEvent]:
    """What was received about the order, the latest first."""
    found = await application.store.events_of(order.id, Paging(limit=100))
    return [event for event in found.things if isinstance(event, StoredEvent)]


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
    return paid_charge(order.id, **{"amount": order.amount_minor, "currency": order.currency, **changes})


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


def refund_by_hand(charge: wire.Charge, amount: int, **changes: Any) -> wire.Refund:
    """What the provider says of a refund that somebody made there, and not through us."""
    fields: dict[str, Any] = {
        "id": new_id("re"),
        "charge_id": charge.id,
        "charge_reference": charge.reference,
        "reference": "by hand",
        "amount": amount,
        "currency": charge.currency,
        "status": "succeeded",
        "failure_code": None,
        "created_at": utc_now(),
        "settled_at": utc_now(),
    }
    return wire.Refund(**{**fields, **changes})


def dispute_of(charge: wire.Charge, **changes: Any) -> wire.Dispute:
    fields: dict[str, Any] = {
        "id": new_id("dp"),
        "charge_id": charge.id,
        "charge_reference": charge.reference,
        "amount": charge.amount,
        "currency": charge.currency,
        "reason": "fraudulent",
        "status": "open",
        "created_at": utc_now(),
        "closed_at": None,
    }
    return wire.Dispute(**{**fields, **changes})


def event_bytes(subject: Subject, kind: str = "payment.succeeded", event_id: str = "", **members: Any) -> bytes:
    """An event about the subject, with these `members` of its data instead."""
    data = {**as_json(subject), **members}
    return msgspec.json.encode(
        {"id": event_id or new_id("evt"), "type": kind, "timestamp": rfc3339(utc_now()), "data": data}
    )


def as_json(subject: Subject) -> dict[str, Any]:
    """As a list of the provider shows it."""
    document: dict[str, Any] = msgspec.json.decode(wire.encode(subject))
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
