"""HTTP of orders: placing them, following them, cancelling them."""

from typing import Annotated, Any, assert_never

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct

from order_api.cancel_order import Cancelled, CancelOrder, NotCancellable
from order_api.order import Status
from order_api.pay_order import ATTEMPTS_MAX, NewPayment, NotPayable, PayOrder
from order_api.place_order import NewOrder, OrderNumberTaken, PlaceOrder
from order_api.reviews import OPEN_REVIEW
from order_api.store import Store
from order_api.timeline import timeline
from order_api.views import (
    EventView,
    OrderView,
    TimelineView,
    event_view,
    order_view,
    shown,
    to_json,
)
from shared.batches import answered_within
from shared.edge.auth import merchant_of
from shared.edge.lists import CreatedFrom, CreatedTo, Cursor, Limit, created_between, page_response, position_after
from shared.edge.problems import FieldError, ProblemError, invalid_field
from shared.edge.requests import idempotency_key
from shared.edge.responses import json_response, replayable
from shared.edge.values import Amount, Metadata, check_metadata, require_visible
from shared.idempotency import Answer, KeyReused
from shared.ids import first_id
from shared.money import shortest
from shared.pages import LIMIT_DEFAULT, Page

TIMELINE_EVENTS_MAX = 1000
ORDER_NUMBER = (
    "Your own, unique among your orders: visible characters in Unicode's form NFC, single spaces between them."
)
PaymentMethod = Annotated[str, Meta(pattern=r"\A[\x21-\x7e]{1,255}\Z")]


class PlaceOrderRequest(Struct, rename="camel", forbid_unknown_fields=True):
    """What to order: `amount` in major units of `currency` (ISO 4217)."""

    order_number: Annotated[str, Meta(min_length=1, max_length=64, description=ORDER_NUMBER, examples=["ORD-001"])]
    amount: Annotated[Amount, Meta(examples=[99.99])]
    currency: Annotated[str, Meta(pattern=r"\A[A-Z]{3}\Z", examples=["USD"])]
    payment_method: PaymentMethod = "pm_card_visa"
    metadata: Annotated[Metadata, Meta(examples=[{"basket": "7"}])] = {}


class PaymentRequest(Struct, rename="camel", forbid_unknown_fields=True):
    """How to pay this time."""

    payment_method: Annotated[PaymentMethod, Meta(examples=["pm_card_visa"])]


@post("/api/orders", tags=["Orders"], takes_key=True, problems=["order-number-taken", "unavailable"])
async def create_order(request: Request[Any, Any, Any], data: JSONBody[PlaceOrderRequest]) -> Response[OrderView]:
    """Places an order. The same Idempotency-Key always gets the same answer, and one order."""
    place_order: PlaceOrder = request.app.state.place_order
    merchant = merchant_of(request)
    key = idempotency_key(request)
    match await place_order(key, _new_order(merchant, data)):
        case Answer() as answer:
            return replayable(answer)
        case KeyReused():
            raise ProblemError("idempotency-key-reused")
        case OrderNumberTaken(order_number):
            raise ProblemError(
                "order-number-taken",
                f"another order has the number {order_number}",
                errors=[FieldError("/orderNumber", "taken")],
            )
        case outcome:
            assert_never(outcome)


@get("/api/orders/{order_id:str}", tags=["Orders"], problems=["unavailable"])
async def get_order(request: Request[Any, Any, Any], order_id: FromPath[str]) -> Response[OrderView]:
    """One order."""
    store: Store = request.app.state.store
    order = await store.order(merchant_of(request), order_id)
    return json_response(to_json(order_view(order)))


@get("/api/orders", tags=["Orders"])
async def list_orders(
    request: Request[Any, Any, Any],
    store: NamedDependency[Store],
    status: Annotated[Status | None, QueryParameter()] = None,
    order_number: Annotated[str | None, QueryParameter(name="orderNumber", max_length=64)] = None,
    review: Annotated[
        str | None, QueryParameter(max_length=64, description="`open`, or the code of an open one")
    ] = None,
    created_from: CreatedFrom = None,
    created_to: CreatedTo = None,
    limit: Limit = LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Response[Page[OrderView]]:
    """A page of orders, newest first; those that were placed at `createdFrom` or later, and before `createdTo`. One that
    cannot be shown stands there as `{"id": …, "unreadable": true}`, and so in the audit trail.
    """
    conditions: dict[str, Any] = {}
    if status:
        conditions["status"] = status
    if order_number:
        conditions["order_number"] = order_number
    if review:
        code: Any = {"$exists": True} if review == "open" else review
        conditions |= {**OPEN_REVIEW, "reviews": {"$elemMatch": {"code": code, "resolved_at": None}}}
    created = created_between(created_from, created_to)
    bounds = {bound: first_id("ord", at) for bound, at in created.items()}
    before = position_after(request, cursor)
    found, following = await store.list_orders(
        merchant_of(request), conditions, created=bounds, before=before, limit=limit
    )
    return page_response(request, [to_json(shown(order, order_view)) for order in found], following)


@get("/api/orders/{order_id:str}/events", tags=["Orders"])
async def list_events(
    request: Request[Any, Any, Any],
    order_id: FromPath[str],
    store: NamedDependency[Store],
    created_from: CreatedFrom = None,
    created_to: CreatedTo = None,
    limit: Limit = LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Response[Page[EventView]]:
    """The audit trail of an order, a page of it: what the provider said about it, the latest first. Its times are those at
    which each was received.
    """
    received, before = created_between(created_from, created_to), position_after(request, cursor)
    await store.order(merchant_of(request), order_id)
    found, following = await store.events_of(order_id, received=received, before=before, limit=limit)
    return page_response(request, [to_json(shown(event, event_view)) for event in found], following)


@get("/api/orders/{order_id:str}/timeline", tags=["Orders"])
async def get_timeline(
    request: Request[Any, Any, Any], order_id: FromPath[str], store: NamedDependency[Store]
) -> Response[TimelineView]:
    """The life of an order in one list, oldest first: placed, the calls of the provider with their attempts, charges,
    events (the latest thousand), refunds, disputes, reviews, and each status.
    """
    order = await store.order(merchant_of(request), order_id)
    return json_response(to_json(timeline(order, await store.latest_events(order_id, TIMELINE_EVENTS_MAX))))


@post("/api/orders/{order_id:str}/cancel", tags=["Orders"], status_code=200, problems=["not-cancellable"])
async def cancel_order(
    request: Request[Any, Any, Any], order_id: FromPath[str], cancel_order: NamedDependency[CancelOrder]
) -> Response[OrderView]:
    """Cancels an order that is not paid. Doing it again changes nothing. A charge that is under way is given back by itself
    if it succeeds.
    """
    match await cancel_order(merchant_of(request), order_id):
        case Cancelled(order):
            return json_response(to_json(order_view(order)))
        case NotCancellable():
            raise ProblemError("not-cancellable")
        case outcome:
            assert_never(outcome)


@post(
    "/api/orders/{order_id:str}/payments",
    tags=["Orders"],
    status_code=202,
    response_description="Pending again",
    takes_key=True,
    problems=["not-payable"],
)
async def create_payment(
    request: Request[Any, Any, Any],
    order_id: FromPath[str],
    data: JSONBody[PaymentRequest],
    pay_order: NamedDependency[PayOrder],
) -> Response[OrderView]:
    """Has a customer pay again what has Failed: the same order under the same number, with another payment method. The same
    Idempotency-Key always gets the same answer, and one payment.
    """
    key = idempotency_key(request)
    async with answered_within():
        outcome = await pay_order(key, merchant_of(request), order_id, NewPayment(data.payment_method))
    match outcome:
        case Answer() as answer:
            return replayable(answer)
        case KeyReused():
            raise ProblemError("idempotency-key-reused")
        case NotPayable("Failed"):
            raise ProblemError("not-payable", f"an order takes {ATTEMPTS_MAX} payments at most")
        case NotPayable(status):
            raise ProblemError("not-payable", f"the order is {status}")
        case _:
            assert_never(outcome)


def _new_order(merchant: str, data: PlaceOrderRequest) -> NewOrder:
    """Checks what types alone cannot say. Raises ProblemError."""
    require_visible("/orderNumber", data.order_number, spaced=True)
    check_metadata(data.metadata)
    if data.amount == 0:
        raise invalid_field(
            "/amount", "must be more than 0: an order that is free is paid already, so do not place it here"
        )
    return NewOrder(
        merchant, data.order_number, shortest(data.amount), data.currency, data.payment_method, data.metadata
    )


ORDER_ROUTES = [create_order, get_order, list_orders, list_events, get_timeline, cancel_order, create_payment]
