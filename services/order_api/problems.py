"""The answer of order_api to each refusal that a flow returns, and to each error that it raises: one table."""

from order_api.calls import REDRIVES_MAX, Call
from order_api.cancel_order import NotCancellable
from order_api.event import NotAnEventError
from order_api.money import ExceedsPaid, NotRefundable
from order_api.order import Status
from order_api.pay_order import ATTEMPTS_MAX, NotPayable
from order_api.place_order import OrderNumberTaken
from order_api.redrive_message import NotRedrivable
from order_api.refund_order import REFUNDS_MAX, RefundNumberTaken, TooManyRefunds
from order_api.resolve_review import AlreadyResolved, NothingToRefund, SeveralReviews
from order_api.views import state_of
from shared.edge.problems import FieldError, ProblemError, Table, invalid_field
from shared.money import AmountError, CurrencyError, in_major
from shared.signing import SignatureError


def _number_taken(what: str, detail: str) -> ProblemError:
    return ProblemError(f"{what}-number-taken", detail, errors=[FieldError(f"/{what}Number", "taken")])


def _why_not_payable(status: Status) -> str:
    return f"an order takes {ATTEMPTS_MAX} payments at most" if status == "Failed" else f"the order is {status}"


def _what_is_left(refusal: ExceedsPaid) -> str:
    left = f"{in_major(refusal.left_minor, refusal.exponent):f} {refusal.currency} can still be refunded of one charge"
    return left + (f"; disputed by {', '.join(refusal.disputes[:10])}" if refusal.disputes else "")


def _decided_before(decision: str | None) -> str:
    return "it has closed by itself" if decision is None else f"it was decided: {decision}"


def _why_not_redrivable(call: Call) -> str:
    if call.state != "dead":
        return f"it is {state_of(call)}"
    return f"it was redriven {call.redrives} times already" if call.redrives >= REDRIVES_MAX else ""


PROBLEMS: Table = {
    OrderNumberTaken: lambda it: _number_taken("order", f"another order has the number {it.order_number}"),
    NotCancellable: lambda _: ProblemError("not-cancellable"),
    NotPayable: lambda it: ProblemError("not-payable", _why_not_payable(it.status)),
    ExceedsPaid: lambda it: ProblemError("exceeds-paid", _what_is_left(it)),
    NotRefundable: lambda _: ProblemError("not-refundable"),
    TooManyRefunds: lambda _: ProblemError("not-refundable", f"an order takes {REFUNDS_MAX} refunds at most"),
    RefundNumberTaken: lambda it: _number_taken("refund", f"a refund of the order has the number {it.number}"),
    NothingToRefund: lambda _: ProblemError("not-refundable", "there is nothing to refund that this review is about"),
    SeveralReviews: lambda it: ProblemError("review-not-named", f"open are those of {', '.join(it.causes[:10])}"),
    AlreadyResolved: lambda it: ProblemError("review-resolved", _decided_before(it.decision)),
    NotRedrivable: lambda it: ProblemError("not-redrivable", _why_not_redrivable(it.call)),
    AmountError: lambda error: invalid_field("/amount", str(error)),
    CurrencyError: lambda error: invalid_field("/currency", str(error)),
    SignatureError: lambda _: ProblemError("invalid-signature"),
    NotAnEventError: lambda error: ProblemError("malformed-json", f"not an event: {error}"),
}
