"""HTTP of orders: placing them, following them, cancelling them."""

from typing import Annotated

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct

from order_api.cancel_order import Cancelled, CancelOrder
from order_api.order import Status
from order_api.pay_order import NewPayment, PayOrder
from order_api.place_order import NewOrder, PlaceOrder
from order_api.store import Store
from order_api.timeline import timeline
from order_api.views import EventView, OrderView, TimelineView, event_view, order_view, shown, to_json
from shared.batches import answered_within
from shared.edge.auth import merchant_of
from shared.edge.lists import page_response
from shared.edge.problems import RefusedError, answer_of, invalid_field, there
from shared.edge.requests import idempotency_key
from shared.edge.responses import json_response
from shared.edge.types import Request
from shared.edge.values import Amount, Metadata, check_metadata, require_visible
from shared.money import shortest
from shared.pages import Page, Paging

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
async def create_order(request: Request, data: JSONBody[PlaceOrderRequest]) -> Response[OrderView]:
    """Places an order. The same Idempotency-Key always gets the same answer, and makes one order."""
    place_order: PlaceOrder = request.app.state.place_order
    merchant = merchant_of(request)
    key = idempotency_key(request)
    return answer_of(await place_order(key, _new_order(merchant, data)))


@get("/api/orders/{order_id:str}", tags=["Orders"], problems=["unavailable"])
async def get_order(request: Request, order_id: FromPath[str]) -> Response[OrderView]:
    """Shows one order."""
    store: Store = request.app.state.store
    order = there(await store.order(merchant_of(request), order_id))
    return json_response(to_json(order_view(order)))


@get("/api/orders", tags=["Orders"])
async def list_orders(
    request: Request,
    status: Annotated[Status | None, QueryParameter()] = None,
    order_number: Annotated[str | None, QueryParameter(name="orderNumber", max_length=64)] = None,
    review: Annotated[
        str | None, QueryParameter(max_length=64, description="`open`, or the code of an open one")
    ] = None,
    *,
    paging: NamedDependency[Paging],
) -> Response[Page[OrderView]]:
    """A page of orders, newest first. With `createdFrom` or `createdTo` only those placed in that time. An order that cannot
    be shown stands in the list as `{"id": …, "unreadable": true}`, and so does an event in the audit trail.
    """
    store: Store = request.app.state.store
    merchant = merchant_of(request)
    found = await store.list_orders(merchant, paging, status=status, order_number=order_number, review=review)
    return page_response(request, found, lambda order: to_json(shown(order, order_view)))


@get("/api/orders/{order_id:str}/events", tags=["Orders"])
async def list_events(
    request: Request,
    order_id: FromPath[str],
    paging: NamedDependency[Paging],
) -> Response[Page[EventView]]:
    """A page of the audit trail of an order: the events of the provider about it, the latest first. `createdFrom` and
    `createdTo` are about the time at which an event was received.
    """
    store: Store = request.app.state.store
    there(await store.order(merchant_of(request), order_id))
    found = await store.events_of(order_id, paging)
    return page_response(request, found, lambda event: to_json(shown(event, event_view)))


@get("/api/orders/{order_id:str}/timeline", tags=["Orders"])
async def get_timeline(
    request: Request, order_id: FromPath[str], store: NamedDependency[Store]
) -> Response[TimelineView]:
    """The life of an order in one list, the oldest first. It has the placing, the calls of the provider with their attempts,
    the charges, the latest 1,000 events, the refunds, the disputes, the reviews and each status.
    """
    order = there(await store.order(merchant_of(request), order_id))
    return json_response(to_json(timeline(order, await store.latest_events(order_id, TIMELINE_EVENTS_MAX))))


@post("/api/orders/{order_id:str}/cancel", tags=["Orders"], status_code=200, problems=["not-cancellable"])
async def cancel_order(
    request: Request, order_id: FromPath[str], cancel_order: NamedDependency[CancelOrder]
) -> Response[OrderView]:
    """Cancels an order that is not paid. To cancel it again changes nothing. If a charge under way succeeds, the money is
    given back without a request.
    """
    outcome = await cancel_order(merchant_of(request), order_id)
    if isinstance(outcome, Cancelled):
        return json_response(to_json(order_view(outcome.order)))
    raise RefusedError(outcome)


@post(
    "/api/orders/{order_id:str}/payments",
    tags=["Orders"],
    status_code=202,
    response_description="Pending again",
    takes_key=True,
    problems=["not-payable"],
)
async def create_payment(
    request: Request,
    order_id: FromPath[str],
    data: JSONBody[PaymentRequest],
    pay_order: NamedDependency[PayOrder],
) -> Response[OrderView]:
    """Charges a Failed order once more, with the payment method of this request. Its id and its number stay. The same
    Idempotency-Key always gets the same answer, and makes one payment.
    """
    key = idempotency_key(request)
    async with answered_within():
        return answer_of(await pay_order(key, merchant_of(request), order_id, NewPayment(data.payment_method)))


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
