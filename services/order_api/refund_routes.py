"""HTTP of what becomes of a payment afterwards: refunds, and what a person decides."""

from typing import Annotated

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from order_api.order import Order
from order_api.refund_order import NewRefund, RefundOrder
from order_api.resolve_review import Decision, ResolveReview
from order_api.store import Store
from order_api.views import OrderView, RefundView, order_view, refund_view, to_json
from shared.batches import answered_within
from shared.edge.auth import merchant_of
from shared.edge.problems import RefusedError, answer_of, there
from shared.edge.requests import idempotency_key
from shared.edge.responses import json_response
from shared.edge.types import Request
from shared.edge.values import Amount, require_visible
from shared.money import in_minor, shortest
from shared.not_found import NotFound

REFUND_NUMBER = (
    "Your own, unique among the refunds of the order, for ever: visible characters, single spaces between them."
)


class RefundRequest(Struct, rename="camel", forbid_unknown_fields=True):
    """How much to give back, in major units of the order's currency; without `amount` what one charge has left."""

    amount: Annotated[Amount | None, Meta(examples=[10.0])] = None
    refund_number: Annotated[str, Meta(min_length=1, max_length=64, description=REFUND_NUMBER)] | None = None


class ReviewDecision(Struct, rename="camel", forbid_unknown_fields=True):
    """The decision of a person. If several reviews of one code are open, `eventId` names one by its cause."""

    decision: Annotated[Decision, Meta(examples=["accept"])]
    event_id: str | None = None


@post(
    "/api/orders/{order_id:str}/refunds",
    tags=["Orders"],
    status_code=202,
    response_description="Asked for",
    takes_key=True,
    problems=["exceeds-paid", "not-refundable", "refund-number-taken"],
)
async def create_refund(
    request: Request,
    order_id: FromPath[str],
    data: JSONBody[RefundRequest],
    store: NamedDependency[Store],
    refund_order: NamedDependency[RefundOrder],
) -> Response[RefundView]:
    """Asks the provider for a refund of what was paid. The refund is `requested` until an event says that it succeeded or
    failed. The same Idempotency-Key always gets the same answer, and makes one refund.
    """
    key = idempotency_key(request)
    if data.refund_number is not None:
        require_visible("/refundNumber", data.refund_number, spaced=True)
    async with answered_within():
        order = there(await store.order(merchant_of(request), order_id))
        amount_minor = None if data.amount is None else in_minor(data.amount, order.currency, order.exponent)
        new = NewRefund(None if data.amount is None else shortest(data.amount), data.refund_number)
        return answer_of(await refund_order(key, order.merchant, order.id, new, amount_minor))


@get("/api/orders/{order_id:str}/refunds/{refund_id:str}", tags=["Orders"])
async def get_refund(
    request: Request, order_id: FromPath[str], refund_id: FromPath[str], store: NamedDependency[Store]
) -> Response[RefundView]:
    """Shows one refund of an order, as far as it is known here."""
    merchant = merchant_of(request)
    order = there(await store.order(merchant, order_id))
    if all(refund.id != refund_id for refund in order.refunds):  # as the whole order: what was acknowledged is there
        order = there(await store.confirmed_order(merchant, order_id))
    for refund in order.refunds:
        if refund.id == refund_id:
            return json_response(to_json(refund_view(refund, order)))
    raise RefusedError(NotFound("refund"))


@post(
    "/api/orders/{order_id:str}/reviews/{code:str}/resolve",
    tags=["Orders"],
    status_code=200,
    problems=["review-resolved", "review-not-named", "exceeds-paid", "not-refundable"],
)
async def resolve_review(
    request: Request,
    order_id: FromPath[str],
    code: FromPath[str],
    data: JSONBody[ReviewDecision],
    resolve_review: NamedDependency[ResolveReview],
) -> Response[OrderView]:
    """Closes the open review of an order that has this code. If several reviews have it, `eventId` says which one. `accept`
    moves no money. `refund` asks once more for a refund that was not made; if somebody refunded a second charge by hand, it
    gives that amount back for the order. The same decision again changes nothing.
    """
    outcome = await resolve_review(merchant_of(request), order_id, code, data.decision, event_id=data.event_id)
    if isinstance(outcome, Order):
        return json_response(to_json(order_view(outcome)))
    raise RefusedError(outcome)


REFUND_ROUTES = [create_refund, get_refund, resolve_review]
