"""C4: a decision whose write was acknowledged to nobody runs again, and answers as it did the first time."""

from datetime import timedelta
from decimal import Decimal

from order_api.redrive_message import Redriven, redriving
from order_api.refund_order import Asked, NewRefund, refunded
from order_api.resolve_review import Resolution, resolved
from shared.idempotency import keyed
from tests.unit.order_api.examples import NOW, a_charge, a_review, an_order, at, with_its_charge_call


def test_c4_a_refund_that_was_made_already_is_answered_as_if_it_had_just_been_made() -> None:
    paid = an_order(a_charge("succeeded"))
    new = NewRefund(Decimal("0.01"))
    asked = Asked(
        request=keyed("a-key", "POST /refunds", new),
        new=new,
        amount_minor=1,
        refund_id="rf_1",
        at=NOW,
        ttl=timedelta(days=1),
    )
    first = refunded(paid, asked, NOW)
    assert first.after is not None
    second = refunded(first.after, asked, at(1))
    assert (second.answer, second.after, second.found) == (first.answer, None, True)
    expired = refunded(first.after, asked, at(2 * 86400))
    assert (expired.answer, expired.after) == (first.answer, None)


def test_c4_a_redrive_that_was_made_already_is_answered_as_if_it_had_just_been_made() -> None:
    order = with_its_charge_call(an_order(), state="dead", due_at=None)
    [call] = order.calls
    first = redriving(order, "default", call.id, "rd_1", at=NOW, now=NOW)
    second = redriving(first.after, "default", call.id, "rd_1", at=NOW, now=at(1))
    assert isinstance(first.answer, Redriven)
    assert (second.answer, second.after) == (first.answer, None)
    assert not isinstance(redriving(first.after, "default", call.id, "rd_2", at=NOW, now=at(1)).answer, Redriven)


def test_c4_a_decision_that_was_made_already_is_answered_as_if_it_had_just_been_made() -> None:
    asked = Resolution("default", "event-mismatch", "accept", None, NOW)
    first = resolved(an_order(a_review()), asked)
    second = resolved(first.after, asked)
    assert (second.answer, second.after) == (first.answer, None)
