"""A client that is refused learns why, whichever flow has refused."""

from collections.abc import Iterator
from types import UnionType
from typing import get_args, get_type_hints

import pytest
from msgspec.structs import replace

from order_api.app import Application
from order_api.calls import REDRIVES_MAX
from order_api.cancel_order import Cancelled, NotCancellable
from order_api.money import ExceedsPaid, NotRefundable
from order_api.order import Order
from order_api.pay_order import NotPayable
from order_api.place_order import OrderNumberTaken
from order_api.problems import PROBLEMS
from order_api.redrive_message import NotRedrivable, Redriven
from order_api.refund_order import RefundNumberTaken, TooManyRefunds
from order_api.resolve_review import AlreadyResolved, NothingToRefund, SeveralReviews
from order_api.settings import Settings
from shared.edge.problems import COMMON
from shared.env import Secret
from shared.idempotency import Answer, KeyReused
from shared.not_found import NotFound
from tests.unit.order_api.examples import an_order, its_charge_call

TABLE = {**COMMON, **PROBLEMS}
SUCCESSES = {Answer, Cancelled, Order, Redriven}


CALL = its_charge_call(an_order())
TOO_OFTEN = replace(CALL, state="dead", redrives=REDRIVES_MAX)

REFUSED: list[tuple[object, str, str]] = [
    (KeyReused(), "idempotency-key-reused", ""),
    (NotFound("order"), "not-found", "no such order"),
    (OrderNumberTaken("A-1"), "order-number-taken", "another order has the number A-1"),
    (NotCancellable(), "not-cancellable", ""),
    (NotPayable("Paid"), "not-payable", "the order is Paid"),
    (NotPayable("Failed"), "not-payable", "an order takes 20 payments at most"),
    (ExceedsPaid(999, "USD", 2), "exceeds-paid", "9.99 USD can still be refunded of one charge"),
    (
        ExceedsPaid(0, "JPY", 0, ("dp_1",)),
        "exceeds-paid",
        "0 JPY can still be refunded of one charge; disputed by dp_1",
    ),
    (NotRefundable(), "not-refundable", ""),
    (TooManyRefunds(), "not-refundable", "an order takes 500 refunds at most"),
    (RefundNumberTaken("R-1"), "refund-number-taken", "a refund of the order has the number R-1"),
    (NothingToRefund(), "not-refundable", "there is nothing to refund that this review is about"),
    (SeveralReviews(("evt_1", "evt_2")), "review-not-named", "open are those of evt_1, evt_2"),
    (AlreadyResolved(None), "review-resolved", "it has closed by itself"),
    (AlreadyResolved("accept"), "review-resolved", "it was decided: accept"),
    (NotRedrivable(CALL), "not-redrivable", "it is ready"),
    (
        NotRedrivable(TOO_OFTEN),
        "not-redrivable",
        "it was redriven 100 times already",
    ),
]


@pytest.mark.parametrize(("refusal", "slug", "detail"), REFUSED)
def test_a_refusal_is_answered_with_its_problem(refusal: object, slug: str, detail: str) -> None:
    problem = TABLE[type(refusal)](refusal)
    assert (problem.slug, problem.detail) == (slug, detail)


def outcomes() -> Iterator[type]:
    """All that the flows return, by their annotations."""
    for part in vars(Application(Settings(mongodb_uri=Secret("mongodb://127.0.0.1:1")))).values():
        if callable(part):
            outcome = get_type_hints(type(part).__call__).get("return")
            yield from get_args(outcome) if isinstance(outcome, UnionType) else ()


def test_every_outcome_of_a_flow_is_a_success_or_has_a_problem() -> None:
    refusals = {kind for kind in TABLE if not issubclass(kind, Exception)}
    assert {*outcomes()} == SUCCESSES | refusals
