"""What may be given back, and what a person's decision gives back."""

import msgspec
import pytest

from order_api.order import Fact, Order, Refund
from order_api.outbox import refund_call_id
from order_api.refund_order import REFUNDS_MAX, ExceedsPaid, NotRefundable, TooManyRefunds, refundable, refuse
from order_api.resolve_review import decided_refund
from tests.unit.order_api.examples import (
    AMOUNT,
    CANCELLED,
    EARLIER,
    LATER,
    NOW,
    a_charge,
    a_refund,
    a_review,
    an_order,
    at,
    knowing,
)

PAID = a_charge("succeeded")
SECOND = a_charge("succeeded", LATER)


def test_what_can_be_refunded_is_the_charge_that_is_kept() -> None:
    assert refundable(an_order(SECOND, PAID)) == PAID


@pytest.mark.parametrize("facts", [[], [a_charge("pending")], [a_charge("failed")], [PAID, CANCELLED]])
def test_without_a_kept_payment_nothing_can_be_refunded(facts: list[Fact]) -> None:
    assert refundable(an_order(*facts)) == NotRefundable()


@pytest.mark.parametrize("amount_minor", [1, AMOUNT - 4000])
def test_c18_what_no_refund_has_taken_can_be_refunded(amount_minor: int) -> None:
    assert refuse(an_order(PAID, a_refund("requested", 4000)), PAID, amount_minor) is None


@pytest.mark.parametrize("amount_minor", [-1, 0, AMOUNT - 3999, AMOUNT])
def test_c18_neither_nothing_nor_more_than_is_left_can_be_refunded(amount_minor: int) -> None:
    assert refuse(an_order(PAID, a_refund("requested", 4000)), PAID, amount_minor) == ExceedsPaid(AMOUNT - 4000)


def test_an_order_takes_no_refunds_without_end() -> None:
    refunds = tuple(a_refund("failed", 1, refund_id=f"rf_{number}") for number in range(REFUNDS_MAX))
    assert refuse(msgspec.structs.replace(an_order(PAID), refunds=refunds[1:]), PAID, 1) is None
    assert refuse(msgspec.structs.replace(an_order(PAID), refunds=refunds), PAID, 1) == TooManyRefunds()


def decided(order: Order, code: str, event_id: str) -> Refund | ExceedsPaid | NotRefundable:
    return decided_refund(order, msgspec.structs.replace(a_review(code), event_id=event_id), now=NOW)


def given_back(order: Order, code: str, event_id: str = "evt_1") -> tuple[str, int]:
    refund = decided(order, code, event_id)
    assert isinstance(refund, Refund)
    return refund.charge_id, refund.amount_minor


def test_a_decision_about_a_second_charge_gives_that_one_back() -> None:
    assert given_back(an_order(PAID, SECOND), "second-charge", LATER) == (LATER, AMOUNT)


def test_a_decision_about_a_refund_that_failed_gives_back_no_more_than_it_would_have() -> None:
    order = an_order(PAID, a_refund("failed", 4000))
    assert given_back(order, "refund-failed", "rf_1") == (EARLIER, 4000)
    order = knowing(order, [a_refund("requested", 7000, refund_id="rf_2")])
    assert given_back(order, "refund-failed", "rf_1") == (EARLIER, AMOUNT - 7000)


def test_c18_a_decision_about_a_dead_letter_asks_anew_only_for_a_refund_that_was_refused() -> None:
    """One that was given up may have been made, and one that was made needs no other."""
    for state in ("requested", "succeeded"):
        order = an_order(PAID, a_refund(state, 4000))
        assert decided(order, "dead-letter", refund_call_id("rf_1")) == NotRefundable()
    order = an_order(PAID, a_refund("failed", 4000))
    for message in (refund_call_id("rf_1"), f"{refund_call_id('rf_1')}~2"):
        assert given_back(order, "dead-letter", message) == (EARLIER, 4000)


def test_c18_a_dead_letter_and_a_failure_of_one_refund_are_decided_as_one() -> None:
    order = an_order(PAID, a_refund("failed", 4000))
    once = decided(order, "refund-failed", "rf_1")
    assert isinstance(once, Refund)
    assert decided(knowing(order, [once]), "dead-letter", refund_call_id("rf_1")) == once


def test_c18_a_decision_after_a_decision_whose_refund_failed_asks_once_more() -> None:
    order = an_order(PAID, a_refund("failed", 4000))
    once = decided(order, "refund-failed", "rf_1")
    assert isinstance(once, Refund)
    order = knowing(order, [msgspec.structs.replace(once, state="failed")])
    again = decided(order, "dead-letter", refund_call_id("rf_1"))
    assert isinstance(again, Refund)
    assert (again.state, again.amount_minor, again.id != once.id) == ("requested", 4000, True)
    assert decided(order, "refund-failed", once.id) == again


def test_a_decision_about_other_money_than_the_orders_leaves_the_orders_payment_alone() -> None:
    assert decided(an_order(PAID), "event-mismatch", "evt_1") == NotRefundable()


@pytest.mark.parametrize("code", ["event-altered", "dead-letter"])
def test_any_other_decision_gives_back_what_is_left_of_the_kept_charge(code: str) -> None:
    assert given_back(an_order(PAID, SECOND, a_refund("succeeded", 1)), code) == (EARLIER, AMOUNT - 1)


def test_a_decision_that_leaves_nothing_to_give_back_says_so() -> None:
    assert decided(an_order(PAID, a_refund("requested")), "event-altered", "evt_1") == ExceedsPaid(0)


@pytest.mark.parametrize(
    ("code", "event_id"), [("event-altered", "evt_1"), ("second-charge", "ch_none"), ("refund-failed", "rf_none")]
)
def test_a_decision_about_what_nobody_paid_gives_nothing_back(code: str, event_id: str) -> None:
    assert decided(an_order(a_charge("failed")), code, event_id) == NotRefundable()


def test_asking_twice_for_a_decision_is_asking_once_and_for_another_is_not() -> None:
    order = an_order(PAID)
    review = a_review("event-altered")
    first = decided_refund(order, review, now=NOW)
    again = decided_refund(order, review, now=at(60))
    other = decided_refund(order, msgspec.structs.replace(review, event_id="evt_2"), now=NOW)
    assert isinstance(first, Refund)
    assert isinstance(again, Refund)
    assert isinstance(other, Refund)
    assert first.id == again.id != other.id
