"""HTTP of what becomes of a payment afterwards: refunds, and what a person decides."""

from typing import Any, assert_never

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from order_api.order import Order
from order_api.refund_order import REFUNDS_MAX, ExceedsPaid, NewRefund, NotRefundable, RefundOrder, TooManyRefunds
from order_api.resolve_review import AlreadyResolved, Decision, NoSuchReview, ResolveReview
from order_api.store import Store
from order_api.views import OrderView, RefundView, order_view, refund_view, to_json
from shared.batches import answered_within
from shared.edge.auth import merchant_of
from shared.edge.problems import ProblemError
from shared.edge.requests import Amount, idempotency_key
from shared.edge.responses import json_response, replayable
from shared.idempotency import Answer, KeyReused
from shared.money import in_major, in_minor


class RefundRequest(Struct, forbid_unknown_fields=True):
    """How much to give back, in major units of the order's currency; without `amount` what is left."""

    amount: Amount | None = None


class ReviewDecision(Struct, rename="camel", forbid_unknown_fields=True):
    """What a person has decided; with `eventId`, about that review alone, so that none is closed which came up since."""

    decision: Decision
    event_id: str | None = None


@post(
    "/api/orders/{order_id:str}/refunds",
    tags=["Orders"],
    status_code=202,
    response_description="Asked for",
    takes_key=True,
    problems=["exceeds-paid", "not-refundable"],
)
async def create_refund(
    request: Request[Any, Any, Any],
    order_id: FromPath[str],
    data: JSONBody[RefundRequest],
    store: NamedDependency[Store],
    refund_order: NamedDependency[RefundOrder],
) -> Response[RefundView]:
    """Asks for a refund of what was paid. It is `requested` until an event of the provider says that it succeeded or failed.
    The same Idempotency-Key always gets the same answer, and one refund.
    """
    key = idempotency_key(request)
    async with answered_within():
        order = await store.order(merchant_of(request), order_id)
        amount_minor = None if data.amount is None else in_minor(data.amount, order.currency, order.exponent)
        outcome = await refund_order(key, order.merchant, order.id, NewRefund(amount_minor))
    match outcome:
        case Answer() as answer:
            return replayable(answer)
        case KeyReused():
            raise ProblemError("idempotency-key-reused")
        case ExceedsPaid(left_minor):
            left = in_major(left_minor, order.exponent)
            raise ProblemError("exceeds-paid", f"{left:f} {order.currency} can still be refunded")
        case NotRefundable():
            raise ProblemError("not-refundable")
        case TooManyRefunds():
            raise ProblemError("not-refundable", f"an order takes {REFUNDS_MAX} refunds at most")
        case _:
            assert_never(outcome)


@get("/api/orders/{order_id:str}/refunds/{refund_id:str}", tags=["Orders"])
async def get_refund(
    request: Request[Any, Any, Any], order_id: FromPath[str], refund_id: FromPath[str], store: NamedDependency[Store]
) -> Response[RefundView]:
    """One refund of an order, as far as we know it."""
    merchant = merchant_of(request)
    order = await store.order(merchant, order_id)
    if all(refund.id != refund_id for refund in order.refunds):  # as the whole order: what was acknowledged is there
        order = await store.confirmed_order(merchant, order_id)
    for refund in order.refunds:
        if refund.id == refund_id:
            return json_response(to_json(refund_view(refund, order)))
    raise ProblemError("not-found", "no such refund")


@post(
    "/api/orders/{order_id:str}/reviews/{code:str}/resolve",
    tags=["Orders"],
    status_code=200,
    problems=["review-resolved", "exceeds-paid", "not-refundable"],
)
async def resolve_review(
    request: Request[Any, Any, Any],
    order_id: FromPath[str],
    code: FromPath[str],
    data: JSONBody[ReviewDecision],
    resolve_review: NamedDependency[ResolveReview],
) -> Response[OrderView]:
    """Closes the open reviews of an order that have this code. `accept` leaves the money where it is; `refund` asks for a
    refund of what is left of the charge, or of the refund that failed, that they are about. The same decision again changes
    nothing.
    """
    match await resolve_review(merchant_of(request), order_id, code, data.decision, event_id=data.event_id):
        case Order() as order:
            return json_response(to_json(order_view(order)))
        case NoSuchReview():
            raise ProblemError("not-found", "no such review")
        case AlreadyResolved(decision):
            raise ProblemError("review-resolved", f"it was decided: {decision}")
        case ExceedsPaid():
            raise ProblemError("exceeds-paid", "nothing is left to be refunded")
        case NotRefundable():
            detail = "the review is about no payment and no failed refund of this order"
            raise ProblemError("not-refundable", detail)
        case outcome:
            assert_never(outcome)


REFUND_ROUTES = [create_refund, get_refund, resolve_review]
