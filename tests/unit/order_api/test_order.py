"""What an order's facts amount to, and what they make the merchant owe."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from order_api.calls import GIVEN_BACK_FOR, GIVING_BACK_TRIES
from order_api.facts import Fact, Refund
from order_api.merge import merge
from order_api.money import AUTOMATIC, sums
from order_api.order import Order, Status
from order_api.outbox import with_refund_asked, without_unsent_charges
from order_api.questions import ASKS_IN_DOUBT, answered, has_open_question, in_doubt, open_questions, scheduled
from order_api.reviews import KEPT_OF_ONE_CODE
from tests.unit.order_api.examples import (
    AMOUNT,
    CANCELLED,
    EARLIER,
    LATER,
    LATEST,
    NOW,
    a_charge,
    a_dispute,
    a_refund,
    a_review,
    an_order,
    at,
    knowing,
    with_its_charge_call,
)

PAID = a_charge("succeeded")
SECOND = a_charge("succeeded", LATER)
OF_OTHER_MONEY = msgspec.structs.replace(a_review(), charge_id=LATER)


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ([], "Pending"),
        ([a_charge("pending")], "Pending"),
        ([a_charge("failed")], "Failed"),
        ([a_charge("failed"), a_charge("failed", LATER)], "Failed"),
        ([a_charge("failed"), a_charge("pending", LATER)], "Pending"),
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
        ([PAID, SECOND, a_refund("succeeded", charge_id=LATER)], "Refunded"),
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
    assert (order.status, sums(order).given_back) == ("Paid", 0)


REFUSED = {"state": "done", "attempts": 1, "due_at": None, "refused_code": "invalid-fields"}


@pytest.mark.parametrize(
    ("call", "facts", "status"),
    [
        ({}, [], "Pending"),
        ({}, [a_charge("failed")], "Pending"),
        ({"state": "dead", "due_at": None}, [], "Pending"),
        ({"state": "done", "due_at": None}, [], "Pending"),
        ({"state": "done", "due_at": None}, [a_charge("failed")], "Failed"),
        (REFUSED, [], "Failed"),
        (REFUSED, [a_charge("pending")], "Pending"),
        (REFUSED, [PAID], "Paid"),
    ],
)
def test_c15_an_order_has_failed_when_every_attempt_to_pay_it_has(
    call: dict[str, Any], facts: list[Fact], status: Status
) -> None:
    order = with_its_charge_call(an_order(), **{"attempts": 1, "first_attempt_at": NOW, **call})
    assert merge(order, *facts, now=NOW, cause="test").status == status


def automatic(order: Order) -> list[Refund]:
    return [refund for refund in order.refunds if refund.cause in AUTOMATIC]


def asked_back(order: Order) -> list[tuple[str, int, str]]:
    return sorted((refund.charge_id, refund.amount_minor, refund.cause) for refund in automatic(order))


def test_nothing_is_asked_back_of_what_the_merchant_keeps() -> None:
    assert asked_back(an_order(PAID, a_charge("failed", LATER), a_charge("pending", LATEST))) == []


@pytest.mark.parametrize("facts", [[PAID, SECOND], [SECOND, PAID]])
def test_c2_of_two_charges_one_is_asked_back_in_full_with_its_call_in_the_same_write(facts: list[Fact]) -> None:
    """The later one by the provider's clock; here they are of one time, and the ids tell."""
    order = an_order(*facts)
    assert asked_back(order) == [(LATER, AMOUNT, "duplicateCharge")]
    assert [call.refund_id for call in order.calls[1:]] == [refund.id for refund in order.refunds]
    assert [review.code for review in order.reviews] == [], "what the service mends by itself is history"


def test_of_three_charges_two_are_asked_back() -> None:
    order = an_order(PAID, SECOND, a_charge("succeeded", LATEST))
    assert [charge_id for charge_id, _, _ in asked_back(order)] == [LATER, LATEST]


def test_everything_paid_on_a_cancelled_order_is_asked_back() -> None:
    assert asked_back(an_order(CANCELLED, PAID, SECOND)) == [
        (EARLIER, AMOUNT, "cancelled"),
        (LATER, AMOUNT, "cancelled"),
    ]
    assert asked_back(an_order(CANCELLED, a_charge("failed"), a_charge("pending", LATER))) == []


def test_c2_a_duplicate_that_is_cancelled_too_is_not_asked_back_twice() -> None:
    order = an_order(PAID, SECOND, CANCELLED)
    assert asked_back(order) == [(EARLIER, AMOUNT, "cancelled"), (LATER, AMOUNT, "duplicateCharge")]


def test_c2_a_manual_refund_reduces_what_is_owed_and_its_failure_brings_that_back() -> None:
    asked = a_refund("requested", 4000)
    order = an_order(PAID, asked, CANCELLED)
    assert asked_back(order) == [(EARLIER, AMOUNT - 4000, "cancelled")]
    order = knowing(order, [a_refund("failed", 4000)])
    assert sorted(asked_back(order)) == [(EARLIER, 4000, "cancelled"), (EARLIER, AMOUNT - 4000, "cancelled")]


def test_c2_an_automatic_refund_has_an_id_that_follows_from_its_charge_whenever_it_is_asked_for() -> None:
    placed = an_order(CANCELLED)
    (first,), (second,) = (merge(placed, PAID, now=at(late), cause="test").refunds for late in (0, 60))
    assert first.id == second.id
    assert merge(an_order(CANCELLED, PAID), PAID, now=at(9), cause="test").refunds == an_order(CANCELLED, PAID).refunds


def missed(order: Order, *, now: datetime) -> Order:
    """The order when what it has asked for by itself has failed."""
    facts = [
        msgspec.structs.replace(one, state="failed", provider_id="re_" + one.id, made_at=now, at=now)
        for one in automatic(order)
        if one.state == "requested"
    ]
    return merge(order, *facts, now=now, cause="test")


def test_c2_what_was_not_given_back_is_asked_for_anew_after_a_pause_that_grows_to_a_day() -> None:
    order, now, pauses = an_order(CANCELLED, PAID), NOW, []
    for _ in range(14):
        order = missed(order, now=now)
        last = order.calls[-1]
        assert last.due_at is not None
        pauses.append(last.due_at - now)
        now = last.due_at
    assert pauses[:3] == [timedelta(minutes=1), timedelta(minutes=2), timedelta(minutes=4)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == timedelta(days=1)
    assert len({refund.id for refund in order.refunds}) == 15


def test_c2_after_thirty_days_of_tries_nobody_asks_by_himself_and_a_person_is_told_until_it_has_gone_back() -> None:
    order, began, due = an_order(CANCELLED, PAID), NOW, NOW
    for _ in range(GIVING_BACK_TRIES):
        order = missed(order, now=due)
        due = order.calls[-1].due_at or due
    assert GIVEN_BACK_FOR - timedelta(days=1) < due - began < GIVEN_BACK_FOR + timedelta(days=1)
    assert len(automatic(order)) == GIVING_BACK_TRIES
    assert merge(order, now=due + 99 * GIVEN_BACK_FOR, cause="test") is order
    assert sums(order).owed == AMOUNT
    assert "owed" in open_questions(order)
    assert [(one.code, one.resolved_at) for one in order.reviews] == [("not-given-back", None)]


def test_c2_a_failure_that_is_heard_of_late_ends_nothing() -> None:
    order = missed(an_order(CANCELLED, PAID), now=NOW - 2 * GIVEN_BACK_FOR)
    assert [one.state for one in automatic(order)] == ["failed", "requested"]


def test_c2_what_a_dispute_took_is_asked_back_when_it_is_won_however_late() -> None:
    """A refund that was never sent was not missed."""
    order = merge(an_order(PAID, SECOND), a_dispute("open", charge_id=LATER), now=at(1), cause="test")
    assert [(one.state, one.failure_code) for one in automatic(order)] == [("refused", "disputed")]
    won = merge(order, a_dispute("won", charge_id=LATER), now=NOW + 2 * GIVEN_BACK_FOR, cause="test")
    assert [one.state for one in automatic(won)] == ["refused", "requested"]
    assert won.calls[-1].due_at is not None
    assert won.calls[-1].due_at < NOW + 2 * GIVEN_BACK_FOR, "at once"
    assert [one.code for one in won.reviews if one.resolved_at is None] == []


def test_c2_what_somebody_gives_back_by_hand_is_not_given_back_once_more_by_a_refund_that_waits() -> None:
    order = missed(missed(missed(an_order(PAID, SECOND), now=at(1)), now=at(2)), now=at(3))
    by_hand = msgspec.structs.replace(
        a_refund("succeeded", refund_id="rf_h", cause="provider"), provider_id="re_h", made_at=at(9)
    )
    after = merge(order, by_hand, now=at(9), cause="test")
    assert [(one.state, one.failure_code) for one in automatic(after)][-1] == ("refused", "not-owed")
    assert (after.calls[-1].state, after.calls[-1].refused_code) == ("done", "not-owed")
    assert (after.status, sums(after).owed) == ("Paid", 0)
    assert [one.code for one in after.reviews if one.resolved_at is None] == ["second-charge"]


def test_c2_three_misses_raise_one_review_a_charge_which_closes_when_the_money_has_gone_back() -> None:
    order = an_order(CANCELLED, PAID)
    for misses in range(1, 6):
        order = missed(order, now=at(misses))
        assert [review.event_id for review in order.reviews] == ([EARLIER] if misses >= 3 else [])
    given = msgspec.structs.replace(automatic(order)[-1], state="succeeded", provider_id="re", made_at=NOW, at=at(9))
    [review] = merge(order, given, now=at(9), cause="test").reviews
    assert (review.code, review.resolved_at, review.decision) == ("not-given-back", at(9), None)


def test_c2_manual_refunds_that_failed_do_not_use_up_the_automatic_ones() -> None:
    manual = [a_refund("failed", refund_id=f"rf_{number}") for number in range(5)]
    order = an_order(PAID, *manual, CANCELLED)
    assert asked_back(order) == [(EARLIER, AMOUNT, "cancelled")]
    assert order.calls[-1].due_at is not None
    assert order.calls[-1].due_at < NOW, "at once"


def test_a_refund_that_failed_raises_a_review_and_says_why_itself() -> None:
    order = an_order(PAID, a_refund("failed"))
    assert [(review.code, review.event_id) for review in order.reviews] == [("refund-failed", "rf_1")]
    assert order.refunds[0].failure_code == "bank_said_no"


def test_a_review_closes_when_its_cause_is_gone_and_may_open_again_until_it_is_decided() -> None:
    dead = with_its_charge_call(an_order(), state="dead", due_at=None, attempts=24, last_error="gave up")
    order = merge(dead, now=at(1), cause="test")
    assert [(one.code, one.resolved_at) for one in order.reviews] == [("dead-letter", None)]
    open_again = msgspec.structs.replace(order.calls[0], state="open", due_at=at(2))
    closed = merge(msgspec.structs.replace(order, calls=(open_again,)), now=at(2), cause="test")
    assert [(one.resolved_at, one.decision) for one in closed.reviews] == [(at(2), None)]
    back = merge(msgspec.structs.replace(closed, calls=order.calls), now=at(3), cause="test")
    assert [one.resolved_at for one in back.reviews] == [None]
    accepted = msgspec.structs.replace(back.reviews[0], resolved_at=at(4), decision="accept")
    assert merge(back, accepted, now=at(4), cause="test").reviews == (accepted,)


def test_the_hundred_and_first_review_of_a_code_is_not_kept() -> None:
    many = [msgspec.structs.replace(a_review(), event_id=f"evt_{number}") for number in range(KEPT_OF_ONE_CODE + 5)]
    assert len(an_order(*many).reviews) == KEPT_OF_ONE_CODE


def test_c18_a_dispute_refuses_the_unsent_refund_that_no_longer_fits_and_leaves_one_that_was_sent() -> None:
    order = refund_asked(refund_asked(an_order(PAID), "rf_1", 4000), "rf_2", 4000)
    sent = msgspec.structs.replace(order.calls[1], attempts=1, first_attempt_at=NOW)
    order = msgspec.structs.replace(order, calls=(order.calls[0], sent, order.calls[2]))
    disputed = merge(order, a_dispute("open", AMOUNT), now=at(5), cause="test")
    assert [(one.id, one.state, one.failure_code) for one in disputed.refunds] == [
        ("rf_1", "requested", None),
        ("rf_2", "refused", "disputed"),
    ]
    assert [(one.state, one.refused_code) for one in disputed.calls[1:]] == [("open", None), ("done", "disputed")]
    fits = merge(order, a_dispute("open", AMOUNT - 8000), now=at(5), cause="test")
    assert [one.state for one in fits.refunds] == ["requested", "requested"]


def refund_asked(order: Order, refund_id: str, amount_minor: int) -> Order:
    refund = a_refund("requested", amount_minor, refund_id=refund_id)
    return merge(with_refund_asked(order, refund, now=NOW), now=NOW, cause="test")


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
        [PAID, a_dispute("open")],
        [PAID, a_refund("succeeded", 1, charge_id=LATER, cause="provider")],
        [PAID, a_dispute("lost", 1, charge_id=LATER)],
    ],
)
def test_while_money_may_yet_move_the_question_is_open(facts: list[Fact]) -> None:
    """C22: cancelled orders too."""
    assert has_open_question(an_order(*facts))


@pytest.mark.parametrize(
    "facts",
    [
        [PAID],
        [a_charge("failed")],
        [PAID, a_refund("succeeded")],
        [PAID, a_refund("failed")],
        [PAID, a_refund("refused")],
        [PAID, a_dispute("lost")],
        [PAID, a_dispute("won")],
        [PAID, a_refund("succeeded"), CANCELLED],
        [PAID, a_refund("succeeded", 1, charge_id=LATER, cause="provider"), OF_OTHER_MONEY],
    ],
)
def test_when_every_charge_and_refund_has_ended_the_question_is_closed(facts: list[Fact]) -> None:
    """C22"""
    assert not has_open_question(an_order(*facts))


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
