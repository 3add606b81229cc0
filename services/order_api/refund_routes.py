"""HTTP of what becomes of a payment afterwards: refunds, and what a person decides."""

from typing import Annotated, Any, assert_never

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from order_api.money import ExceedsPaid, NotRefundable
from order_api.order import Order
from order_api.refund_order import REFUNDS_MAX, NewRefund, RefundNumberTaken, RefundOrder, Refusal, TooManyRefunds
from order_api.resolve_review import AlreadyResolved, Decision, NoSuchReview, ResolveReview, SeveralReviews
from order_api.store import Store
from order_api.views import OrderView, RefundView, order_view, refund_view, to_json
from shared.batches import answered_within
from shared.edge.auth import merchant_of
from shared.edge.problems import FieldError, ProblemError
from shared.edge.requests import idempotency_key
from shared.edge.responses import json_response, replayable
from shared.edge.values import Amount, require_visible
from shared.idempotency import Answer, KeyReused
from shared.money import in_major, in_minor, shortest

REFUND_NUMBER = (
    "Your own, unique among the refunds of the order, for ever: visible characters, single spaces between them."
)


class RefundRequest(Struct, rename="camel", forbid_unknown_fields=True):
    """How much to give back, in major units of the order's currency; without `amount` what one charge has left."""

    amount: Annotated[Amount | None, Meta(examples=[10.0])] = None
    refund_number: Annotated[str, Meta(min_length=1, max_length=64, description=REFUND_NUMBER)] | None = None


class ReviewDecision(Struct, rename="camel", forbid_unknown_fields=True):
    """What a person has decided; `eventId` names the review by its cause, where several of its code are open."""

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
    if data.refund_number is not None:
        require_visible("/refundNumber", data.refund_number, spaced=True)
    async with answered_within():
        order = await store.order(merchant_of(request), order_id)
        amount_minor = None if data.amount is None else in_minor(data.amount, order.currency, order.exponent)
        new = NewRefund(None if data.amount is None else shortest(data.amount), data.refund_number)
        outcome = await refund_order(key, order.merchant, order.id, new, amount_minor)
    match outcome:
        case Answer() as answer:
            return replayable(answer)
        case KeyReused():
            raise ProblemError("idempotency-key-reused")
        case _:
            raise _refusal(outcome, order)


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
    problems=["review-resolved", "review-not-named", "exceeds-paid", "not-refundable"],
)
async def resolve_review(
    request: Request[Any, Any, Any],
    order_id: FromPath[str],
    code: FromPath[str],
    data: JSONBody[ReviewDecision],
    store: NamedDependency[Store],
    resolve_review: NamedDependency[ResolveReview],
) -> Response[OrderView]:
    """Closes the open review of an order that has this code; where several have it, say which by `eventId`. `accept` leaves
    the money where it is; `refund` asks once more for a refund that was not made, or gives back for the order what was
    refunded by hand for a charge too many. The same decision again changes nothing.
    """
    merchant = merchant_of(request)
    match await resolve_review(merchant, order_id, code, data.decision, event_id=data.event_id):
        case Order() as order:
            return json_response(to_json(order_view(order)))
        case NoSuchReview():
            raise ProblemError("not-found", "no such review")
        case SeveralReviews(causes):
            raise ProblemError("review-not-named", f"open are those of {', '.join(causes[:10])}")
        case AlreadyResolved(None):
            raise ProblemError("review-resolved", "it has closed by itself")
        case AlreadyResolved(decision):
            raise ProblemError("review-resolved", f"it was decided: {decision}")
        case NotRefundable():
            raise ProblemError("not-refundable", "there is nothing to refund that this review is about")
        case refusal:
            raise _refusal(refusal, await store.order(merchant, order_id))


def _refusal(refusal: Refusal, order: Order) -> ProblemError:
    match refusal:
        case ExceedsPaid(left_minor, disputes):
            left = f"{in_major(left_minor, order.exponent):f} {order.currency} can still be refunded of one charge"
            disputed = f"; disputed by {', '.join(disputes[:10])}" if disputes else ""
            return ProblemError("exceeds-paid", left + disputed)
        case NotRefundable():
            return ProblemError("not-refundable")
        case TooManyRefunds():
            return ProblemError("not-refundable", f"an order takes {REFUNDS_MAX} refunds at most")
        case RefundNumberTaken(number):
            errors = [FieldError("/refundNumber", "taken")]
            return ProblemError("refund-number-taken", f"a refund of the order has the number {number}", errors=errors)
        case _:
            assert_never(refusal)


REFUND_ROUTES = [create_refund, get_refund, resolve_review]
