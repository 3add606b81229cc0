"""What an order's facts amount to, and what they make the merchant owe."""

from datetime import datetime, timedelta

import msgspec
import pytest

from order_api.order import (
    ASKS_IN_DOUBT,
    AUTOMATIC_REFUNDS_MAX,
    Fact,
    Order,
    Refund,
    Status,
    answered,
    has_open_question,
    in_doubt,
    kept_charge,
    money_owed_back,
    refunded_minor,
    scheduled,
    unreserved_minor,
)
from order_api.outbox import without_unsent_charges
from tests.unit.order_api.examples import (
    AMOUNT,
    CANCELLED,
    EARLIER,
    LATER,
    LATEST,
    NOW,
    a_charge,
    a_refund,
    a_review,
    an_order,
    at,
    knowing,
    with_its_charge_call,
)

PAID = a_charge("succeeded")
SECOND = a_charge("succeeded", LATER)


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ([], "Pending"),
        ([a_charge("pending")], "Pending"),
        ([a_charge("failed")], "Failed"),
        ([a_charge("failed"), a_charge("pending", LATER)], "Failed"),
        ([PAID], "Paid"),
        ([a_charge("failed", EARLIER), SECOND], "Paid"),
        ([a_refund("succeeded")], "Pending"),
        ([a_charge("failed"), a_refund("succeeded")], "Failed"),
        ([PAID, a_refund("requested")], "Paid"),
        ([PAID, a_refund("failed")], "Paid"),
        ([PAID, a_refund("succeeded", 1)], "PartiallyRefunded"),
        ([PAID, a_refund("succeeded", AMOUNT - 1)], "PartiallyRefunded"),
        ([PAID, a_refund("succeeded", 1), a_refund("succeeded", AMOUNT - 1, refund_id="rf_2")], "Refunded"),
        ([PAID, a_refund("succeeded")], "Refunded"),
        ([PAID, SECOND], "Paid"),
        ([PAID, SECOND, a_refund("succeeded", charge_id=LATER)], "Paid"),
        ([CANCELLED], "Cancelled"),
        ([CANCELLED, a_charge("failed")], "Cancelled"),
        ([CANCELLED, PAID, a_refund("succeeded")], "Cancelled"),
        ([PAID, a_review()], "Paid"),
    ],
)
def test_the_status_is_derived_from_the_facts(facts: list[Fact], status: Status) -> None:
    assert an_order(*facts).status == status


def test_a_late_failure_does_not_unpay_an_order() -> None:
    assert an_order(PAID, a_charge("failed", seconds=60)).status == "Paid"


def test_a_late_success_pays_an_order_whose_charge_had_failed() -> None:
    assert an_order(a_charge("failed"), a_charge("succeeded", seconds=60)).status == "Paid"


def test_a_refund_that_is_reported_before_its_payment_counts_when_the_payment_arrives() -> None:
    assert an_order(a_refund("succeeded"), PAID).status == "Refunded"


def test_a_refund_that_failed_after_it_succeeded_has_not_given_the_money_back() -> None:
    order = an_order(PAID, a_refund("succeeded"), a_refund("failed", seconds=60))
    assert (order.status, refunded_minor(order)) == ("Paid", 0)


def test_the_kept_charge_is_the_earliest_that_succeeded() -> None:
    order = an_order(a_charge("failed"), a_charge("succeeded", LATEST), SECOND)
    assert kept_charge(order) == SECOND


def test_without_a_payment_there_is_no_kept_charge_and_nothing_is_refunded() -> None:
    order = an_order(a_charge("failed"), a_refund("succeeded"))
    assert (kept_charge(order), refunded_minor(order)) == (None, 0)


def test_a_refund_reserves_its_amount_until_it_fails() -> None:
    """C18"""
    asked = an_order(PAID, a_refund("requested", 4000))
    assert unreserved_minor(asked, PAID) == AMOUNT - 4000
    assert unreserved_minor(knowing(asked, [a_refund("succeeded", 4000)]), PAID) == AMOUNT - 4000
    assert unreserved_minor(knowing(asked, [a_refund("failed", 4000)]), PAID) == AMOUNT


def owed(order: Order) -> list[tuple[str, int, str]]:
    return [(refund.charge_id, refund.amount_minor, refund.cause) for refund in money_owed_back(order, now=NOW)]


def test_nothing_is_owed_back_of_what_the_merchant_keeps() -> None:
    assert owed(an_order(PAID, a_charge("failed", LATER), a_charge("pending", LATEST))) == []


def test_a_second_charge_is_owed_back_in_full() -> None:
    assert owed(an_order(SECOND, PAID)) == [(LATER, AMOUNT, "duplicateCharge")]


def test_of_three_charges_two_are_owed_back() -> None:
    order = an_order(PAID, SECOND, a_charge("succeeded", LATEST))
    assert sorted(charge_id for charge_id, _, _ in owed(order)) == [LATER, LATEST]


def test_everything_paid_on_a_cancelled_order_is_owed_back() -> None:
    assert owed(an_order(CANCELLED, PAID, SECOND)) == [(EARLIER, AMOUNT, "cancelled"), (LATER, AMOUNT, "cancelled")]


def test_a_cancelled_order_that_nobody_paid_owes_nothing() -> None:
    assert owed(an_order(CANCELLED, a_charge("failed"), a_charge("pending", LATER))) == []


def test_an_automatic_refund_that_is_asked_for_twice_is_asked_for_once() -> None:
    """C2: the id follows from the charge's, whoever asks and whenever."""
    order = an_order(CANCELLED, PAID)
    (first,), (second,) = money_owed_back(order, now=NOW), money_owed_back(order, now=at(60))
    assert first.id == second.id
    asked = knowing(order, [first, second])
    assert len(asked.refunds) == 1
    assert money_owed_back(asked, now=NOW) == []


def test_a_duplicate_that_is_cancelled_too_is_not_asked_back_twice() -> None:
    """C2"""
    order = an_order(PAID, SECOND)
    order = knowing(order, [*money_owed_back(order, now=NOW), CANCELLED])
    assert owed(order) == [(EARLIER, AMOUNT, "cancelled")]


def test_a_manual_refund_reduces_what_is_owed() -> None:
    """C2: automatic refunds use the same reservation as manual ones."""
    assert owed(an_order(CANCELLED, PAID, a_refund("requested", 4000))) == [(EARLIER, AMOUNT - 4000, "cancelled")]
    assert owed(an_order(CANCELLED, PAID, a_refund("succeeded"))) == []


def test_what_a_manual_refund_failed_to_give_back_is_owed_again() -> None:
    order = an_order(CANCELLED, PAID, a_refund("requested", 4000))
    order = knowing(order, [*money_owed_back(order, now=NOW), a_refund("failed", 4000)])
    assert owed(order) == [(EARLIER, 4000, "cancelled")]


def failed(refund: Refund) -> Refund:
    return msgspec.structs.replace(refund, state="failed", failure_code="bank_said_no", at=at(60))


def test_an_automatic_refund_that_failed_is_asked_for_anew_under_another_derived_id() -> None:
    """C2"""
    order = an_order(CANCELLED, PAID)
    (first,) = money_owed_back(order, now=NOW)
    (second,) = money_owed_back(knowing(order, [first, failed(first)]), now=NOW)
    assert second.id != first.id
    assert (second.amount_minor, second.state) == (AMOUNT, "requested")


def test_automatic_refunds_that_keep_failing_end_in_reviews() -> None:
    """C2: bounded, then review."""
    order = an_order(CANCELLED, PAID)
    asked = []
    while due := money_owed_back(order, now=NOW):
        asked += due
        order = knowing(order, [failed(refund) for refund in due])
        assert len(asked) <= AUTOMATIC_REFUNDS_MAX
    assert len({refund.id for refund in asked}) == AUTOMATIC_REFUNDS_MAX
    assert {review.event_id for review in order.reviews} == {refund.id for refund in asked}


def test_manual_refunds_do_not_use_up_the_automatic_ones() -> None:
    manual = [a_refund("failed", refund_id=f"rf_{number}") for number in range(AUTOMATIC_REFUNDS_MAX)]
    assert owed(an_order(CANCELLED, PAID, *manual)) == [(EARLIER, AMOUNT, "cancelled")]


def test_a_second_charge_raises_a_review_that_names_it() -> None:
    order = an_order(SECOND, PAID)
    assert [(review.code, review.event_id) for review in order.reviews] == [("second-charge", LATER)]


def test_a_refund_that_failed_raises_a_review_and_says_why_itself() -> None:
    order = an_order(PAID, a_refund("failed"))
    assert [(review.code, review.event_id) for review in order.reviews] == [("refund-failed", "rf_1")]
    assert order.refunds[0].failure_code == "bank_said_no"


def test_c1_failures_of_one_instant_with_and_without_a_code_are_one_fact_in_any_order() -> None:
    one, other = (msgspec.structs.replace(a_refund("failed"), failure_code=code) for code in (None, "E05"))
    assert an_order(PAID, one, other).reviews == an_order(PAID, other, one).reviews
    assert an_order(PAID, one, other).refunds == an_order(PAID, other, one).refunds


def test_an_ordinary_payment_and_refund_raise_no_review() -> None:
    assert an_order(a_charge("pending"), PAID, a_refund("requested"), a_refund("succeeded")).reviews == ()


@pytest.mark.parametrize(
    "facts",
    [
        [],
        [a_charge("pending")],
        [PAID, a_charge("pending", LATER)],
        [PAID, a_refund("requested")],
        [CANCELLED, a_charge("pending")],
        [CANCELLED, PAID, a_refund("requested")],
    ],
)
def test_while_money_may_yet_move_the_question_is_open(facts: list[Fact]) -> None:
    """C22: cancelled orders too."""
    assert has_open_question(with_its_charge_call(an_order(*facts)))


@pytest.mark.parametrize(
    "facts",
    [
        [PAID],
        [a_charge("failed")],
        [PAID, a_refund("succeeded")],
        [PAID, a_refund("failed")],
        [CANCELLED, PAID, a_refund("succeeded", cause="cancelled")],
    ],
)
def test_when_every_charge_and_refund_has_ended_the_question_is_closed(facts: list[Fact]) -> None:
    """C22"""
    assert not has_open_question(with_its_charge_call(an_order(*facts)))


def test_c22_a_cancelled_order_whose_charge_was_never_sent_has_no_question_and_one_whose_was_has() -> None:
    cancelled = with_its_charge_call(an_order(CANCELLED))
    assert has_open_question(cancelled)
    assert not has_open_question(without_unsent_charges(cancelled, now=NOW))


def test_c22_doubt_keeps_the_question_open_for_as_many_answers() -> None:
    order = in_doubt(an_order(PAID))
    for left in range(ASKS_IN_DOUBT, 0, -1):
        assert has_open_question(order)
        order = answered(order, left)
    assert not has_open_question(order)


def test_c22_an_answer_to_a_question_that_was_asked_before_the_doubt_settles_none_of_it() -> None:
    order = in_doubt(an_order(PAID))
    assert answered(order, 0) is order
    assert answered(answered(order, ASKS_IN_DOUBT), ASKS_IN_DOUBT).asks_left == ASKS_IN_DOUBT - 1


PAUSE = timedelta(seconds=60)
NEXT = {"reconcile_at": at(3600), "reconcile_attempts": 9}


def turn(before: Order, after: Order) -> tuple[datetime | None, int]:
    order = scheduled(before, after, now=at(10), pause=PAUSE)
    return order.reconcile_at, order.reconcile_attempts


def test_c22_without_a_question_nobody_asks() -> None:
    before = msgspec.structs.replace(with_its_charge_call(an_order()), **NEXT)
    assert turn(before, knowing(before, [PAID]))[0] is None


def test_c22_a_new_question_is_asked_soon_and_an_old_one_is_not_put_off() -> None:
    before = msgspec.structs.replace(an_order(PAID, a_refund("requested", 1)), **NEXT)
    assert turn(before, knowing(before, [a_refund("requested", 1, refund_id="rf_2")])) == (at(70), 0)
    assert turn(before, knowing(before, [a_review()])) == (at(3600), 9)
    soon = msgspec.structs.replace(before, reconcile_at=at(20))
    assert turn(soon, knowing(soon, [a_refund("requested", 1, refund_id="rf_2")])) == (at(20), 0)


def test_c22_a_doubt_and_a_question_on_an_order_at_rest_begin_the_pauses_anew() -> None:
    at_rest = an_order(PAID)
    assert turn(at_rest, in_doubt(at_rest)) == (at(70), 0)
    assert turn(at_rest, knowing(at_rest, [a_charge("pending", LATER)])) == (at(70), 0)
    asked = msgspec.structs.replace(in_doubt(at_rest), **NEXT)
    assert turn(asked, answered(asked, ASKS_IN_DOUBT)) == (at(3600), 9)
