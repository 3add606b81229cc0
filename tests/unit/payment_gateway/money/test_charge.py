from datetime import timedelta
from typing import Literal

import pytest
from msgspec.structs import replace

from payment_gateway.faults.payment_method import OUTCOMES
from payment_gateway.money.announcement import HAND_SECONDS, marks_of, settled
from payment_gateway.money.charge import (
    REFUNDS_MAX,
    Charge,
    ExceedsCharge,
    NotRefundable,
    Refund,
    TooManyRefunds,
    announced,
    due,
    ended,
    on_the_wire,
    refund,
    with_settled,
)
from payment_gateway.money.dispute_charge import (
    DISPUTES_MAX,
    ClosedOtherwise,
    NotDisputable,
    TooManyDisputes,
    with_closed,
    with_dispute,
)
from shared import wire
from shared.idempotency import KeyReused
from shared.not_found import NotFound
from tests.unit.payment_gateway.examples import DELAY, NOW, a_charge, a_dispute, a_key, a_refund, an_endpoint, at, paid


def test_a_new_charge_is_pending_and_due_after_its_delay() -> None:
    charge = a_charge()
    assert (charge.status, charge.failure_code, charge.settled_at) == ("pending", None, None)
    assert (charge.created_at, charge.due_at) == (NOW, at(5))


def test_each_charge_has_an_id_of_its_own() -> None:
    assert a_charge().id != a_charge().id


def test_a_visa_card_pays() -> None:
    charge = ended(a_charge("pm_card_visa"), now=at(5))
    assert (charge.status, charge.failure_code, charge.settled_at) == ("succeeded", None, at(5))


@pytest.mark.parametrize(
    ("payment_method", "code"),
    [
        ("pm_card_declined", "card_declined"),
        ("pm_insufficient_funds", "insufficient_funds"),
        ("pm_expired_card", "expired_card"),
    ],
)
def test_the_other_cards_fail_with_their_code(payment_method: str, code: str) -> None:
    charge = ended(a_charge(payment_method), now=at(5))
    assert (charge.status, charge.failure_code, charge.settled_at) == ("failed", code, at(5))


@pytest.mark.parametrize("payment_method", OUTCOMES)
def test_nothing_settles_twice(payment_method: str) -> None:
    charge = ended(a_charge(payment_method), now=at(5))
    with pytest.raises(AssertionError, match=charge.id):
        ended(charge, now=at(6))


def test_settling_changes_nothing_but_how_it_ended() -> None:
    pending = a_charge()
    after = ended(pending, now=at(5))
    assert (after.id, after.amount, after.metadata) == (pending.id, pending.amount, pending.metadata)


def test_a_merchant_sees_the_charge_it_asked_for() -> None:
    charge = a_charge()
    assert on_the_wire(charge) == wire.Charge(
        id=charge.id,
        amount=9999,
        currency="USD",
        reference="ord_1",
        status="pending",
        failure_code=None,
        amount_refunded=0,
        payment_method="pm_card_visa",
        metadata={"basket": "7"},
        created_at=NOW,
        settled_at=None,
    )


def refunded_by(charge: Charge, *made: Refund) -> Charge:
    for one in made:
        verdict = refund(charge, one, a_key(one.id, of=one.id), NOW)
        assert verdict.after is not None
        charge = verdict.after
    return charge


def test_settling_marks_a_charge_and_leaves_it_due() -> None:
    """C23: whoever dies before announcing leaves something that is found."""
    pending = a_charge()
    verdict = settled(pending, pending.id, [an_endpoint()], now=at(6), delay=DELAY, read_at=NOW, trace="t")
    after = verdict.after
    assert after is not None
    assert (after.status, after.settled_at, after.due_at) == ("succeeded", at(6), pending.due_at)
    assert [(mark.object, mark.to, mark.trace) for mark in after.announce] == [(pending.id, ("we_1",), "t")]
    assert after.hand_until == at(HAND_SECONDS)


def test_what_has_ended_is_not_settled_again() -> None:
    """C23"""
    charge = paid()
    for found in (charge, None):
        verdict = settled(found, charge.id, [], now=at(9), delay=DELAY, read_at=NOW, trace=None)
        assert (verdict.answer, verdict.after, verdict.found) == (None, None, True)


def test_a_refund_settles_inside_its_charge() -> None:
    charge = refunded_by(paid(), one := a_refund(), other := a_refund())
    after = settled(charge, one.id, [], now=at(6), delay=DELAY, read_at=NOW, trace=None).after
    assert after is not None
    assert [refund.status for refund in after.refunds] == ["succeeded", "pending"]
    assert [mark.object for mark in after.announce] == [one.id]
    assert [thing.id for thing in due(after, at(5))] == [other.id]


def test_a_charge_is_due_while_it_has_a_mark_and_then_when_the_next_refund_settles() -> None:
    """C23"""
    charge = refunded_by(paid(), soon := a_refund(), later := replace(a_refund(), settles_at=at(60)))
    assert charge.due_at == soon.settles_at
    after = with_settled(charge, soon.id, now=at(6), delay=DELAY)
    marks = marks_of(after, after.refunds[0], [], now=at(6))
    marked = replace(after, announce=marks, hand_until=NOW)
    assert announced(marked, set()) == marked
    assert announced(marked, {"evt_another"}).due_at == soon.settles_at
    at_rest = announced(marked, {marks[0].id})
    assert (at_rest.announce, at_rest.due_at, at_rest.hand_until) == ((), later.settles_at, None)
    assert announced(with_settled(at_rest, later.id, now=at(60), delay=DELAY), set()).due_at is None


def test_a_mark_that_was_made_meanwhile_stays() -> None:
    """C23: marks are taken off by their ids."""
    charge = refunded_by(paid(), one := a_refund(), other := a_refund())
    for each in (one, other):
        after = settled(charge, each.id, [], now=at(6), delay=DELAY, read_at=NOW, trace=None).after
        assert after is not None
        charge = after
    left = announced(charge, {charge.announce[0].id})
    assert left.announce == charge.announce[1:]
    assert left.due_at == charge.due_at


def test_refunds_never_exceed_their_charge_and_those_that_failed_do_not_count() -> None:
    """C25"""
    charge = refunded_by(paid(), a_refund(9000), failed := a_refund(999, failure_code="refused"))
    assert refund(charge, a_refund(1), a_key("3"), NOW).answer == ExceedsCharge(0)
    assert charge.amount_refunded == 9999
    charge = with_settled(charge, failed.id, now=at(6), delay=DELAY)
    assert charge.amount_refunded == 9000
    assert refund(charge, a_refund(1000), a_key("4"), NOW).answer == ExceedsCharge(999)
    assert refund(charge, a_refund(999), a_key("5"), NOW).after is not None


def disputed(charge: Charge, amount: int | None = None, dispute_id: str = "dp_1") -> Charge:
    after = with_dispute(dispute_id, amount, "fraudulent", charge, NOW)
    assert isinstance(after, Charge)
    return after


def closed(charge: Charge, outcome: Literal["won", "lost"], dispute_id: str = "dp_1") -> Charge:
    after = with_closed(dispute_id, outcome, charge, NOW)
    assert isinstance(after, Charge)
    return after


def test_what_is_disputed_is_not_refunded_unless_the_dispute_was_won() -> None:
    """C25"""
    charge = disputed(refunded_by(paid(), a_refund(999)), 6000)
    for other in (charge, closed(charge, "lost")):
        assert refund(other, a_refund(3001), a_key("2"), NOW).answer == ExceedsCharge(3000)
        assert refund(other, a_refund(3000), a_key("2"), NOW).after is not None
    assert refund(closed(charge, "won"), a_refund(9000), a_key("2"), NOW).after is not None


def test_a_dispute_is_of_all_that_is_left_and_never_of_more() -> None:
    """C25"""
    charge = refunded_by(paid(), a_refund(999))
    assert [one.amount for one in disputed(charge).disputes] == [9000]
    assert with_dispute("dp_1", 9001, "fraudulent", charge, NOW) == ExceedsCharge(9000)
    assert with_dispute("dp_2", None, "fraudulent", disputed(charge), NOW) == ExceedsCharge(0)
    assert [one.amount for one in disputed(closed(disputed(charge), "won"), None, "dp_2").disputes] == [9000, 9000]


def test_only_a_charge_that_has_succeeded_is_disputed_and_a_hundred_times_at_most() -> None:
    for charge in (a_charge(), ended(a_charge("pm_card_declined"), now=at(5))):
        assert with_dispute("dp_1", None, "fraudulent", charge, NOW) == NotDisputable(charge.status)
    often = replace(paid(), disputes=(a_dispute(1, status="won"),) * DISPUTES_MAX)
    assert with_dispute("dp_2", 1, "fraudulent", often, NOW) == TooManyDisputes()


def test_a_dispute_is_closed_once() -> None:
    charge = disputed(paid())
    after = closed(charge, "won")
    assert [(one.status, one.closed_at) for one in after.disputes] == [("won", NOW)]
    assert with_closed("dp_1", "won", after, at(9)) == after
    assert with_closed("dp_1", "lost", after, at(9)) == ClosedOtherwise("won")
    assert with_closed("dp_2", "lost", after, at(9)) == NotFound("dispute")
    assert with_dispute("dp_1", None, "fraudulent", after, at(9)) == after, "a decision knows its own effect. C3"


def test_a_charge_that_is_to_be_disputed_waits_for_it_after_it_has_succeeded() -> None:
    pending = a_charge("pm_card_disputed")
    charge = with_settled(pending, pending.id, now=at(6), delay=DELAY)
    [waiting] = charge.disputes
    assert (charge.status, waiting.status, waiting.created_at, waiting.opens_at) == (
        "succeeded",
        "waiting",
        None,
        at(11),
    )
    assert refund(charge, a_refund(9999), a_key(), NOW).after is not None, "it counts for nothing yet"
    assert with_closed(waiting.id, "won", charge, at(9)) == NotFound("dispute")
    at_rest = announced(charge, ())
    assert at_rest.due_at == at(11)
    assert due(at_rest, at(10.9)) == []
    verdict = settled(at_rest, waiting.id, [an_endpoint()], now=at(12), delay=DELAY, read_at=NOW, trace=None)
    after = verdict.after
    assert after is not None
    assert [(one.status, one.created_at, one.amount) for one in after.disputes] == [("open", at(12), 9999)]
    assert [(mark.object, mark.type, mark.to) for mark in after.announce] == [
        (waiting.id, "dispute.created", ("we_1",))
    ]
    assert after.due_at == at(11)
    assert announced(after, {after.announce[0].id}).due_at is None


def test_two_gateways_that_settle_a_charge_mean_the_same_dispute() -> None:
    """C23"""
    charge = a_charge("pm_card_disputed")
    ids = {with_settled(charge, charge.id, now=at(second), delay=DELAY).disputes[0].id for second in (6, 7)}
    assert len(ids) == 1


def test_a_dispute_for_which_nothing_is_left_leaves_the_charge_at_rest() -> None:
    """C23: due exactly while there is something to end or to tell."""
    charge = a_charge("pm_card_disputed")
    charge = announced(with_settled(charge, charge.id, now=at(6), delay=DELAY), ())
    by_hand = with_dispute("dp_1", None, "fraudulent", charge, at(9))
    assert isinstance(by_hand, Charge)
    waiting = by_hand.disputes[0].id
    after = settled(by_hand, waiting, [an_endpoint()], now=at(12), delay=DELAY, read_at=NOW, trace=None).after
    assert after is not None
    assert ([one.id for one in after.disputes], after.announce, after.due_at) == (["dp_1"], (), None)


@pytest.mark.parametrize(("refunded", "opened"), [(999, [9000]), (9999, [])])
def test_a_dispute_opens_of_what_is_left_if_anything_is(refunded: int, opened: list[int]) -> None:
    """C25"""
    charge = a_charge("pm_card_disputed")
    charge = refunded_by(with_settled(charge, charge.id, now=at(6), delay=DELAY), a_refund(refunded))
    waiting = charge.disputes[0].id
    verdict = settled(charge, waiting, [], now=at(12), delay=DELAY, read_at=NOW, trace=None)
    assert verdict.after is not None
    assert [one.amount for one in verdict.after.disputes] == opened
    assert len(verdict.after.announce) == len(opened)
    assert settled(verdict.after, waiting, [], now=at(13), delay=DELAY, read_at=NOW, trace=None).after is None


def test_a_charge_takes_five_hundred_refunds() -> None:
    """C25"""
    charge = replace(paid(), refunds=(a_refund(1),) * REFUNDS_MAX)
    assert refund(charge, a_refund(1), a_key("last"), NOW).answer == TooManyRefunds()


def test_what_is_pending_or_failed_or_not_there_is_not_refunded() -> None:
    for charge in (a_charge(), ended(a_charge("pm_card_declined"), now=at(5))):
        assert refund(charge, a_refund(), a_key(), NOW).answer == NotRefundable(charge.status)
    verdict = refund(None, a_refund(), a_key(), None)
    assert (verdict.answer, verdict.found) == (NotFound("charge"), False)


def test_a_key_is_one_refund_and_a_decision_knows_its_own() -> None:
    """C3: our own effect is answered as if it had just been written."""
    made, key = a_refund(), a_key()
    charge = refunded_by(paid(), a_refund(1))
    after = refund(charge, made, key, NOW).after
    assert after is not None
    again = refund(after, made, key, at(86400 * 2))
    assert (again.answer, again.after, again.found) == (key.answer, None, True)
    replayed = refund(after, a_refund(), key, NOW)
    assert (replayed.answer, replayed.after) == (replace(key.answer, replayed=True), None)
    assert refund(after, a_refund(), a_key(command="another"), NOW).answer == KeyReused()


def test_a_key_that_has_expired_by_the_servers_clock_is_taken_off_in_the_same_write() -> None:
    """C10"""
    charge = refunded_by(paid(), a_refund(1), a_refund(2))
    key = charge.keys[0]
    last_moment = key.expires_at - timedelta(milliseconds=1)
    assert refund(charge, a_refund(), a_key(key.value), last_moment).after is None
    after = refund(charge, a_refund(), a_key(key.value), key.expires_at).after
    assert after is not None
    assert [one.value for one in after.keys] == [key.value]
    assert len(after.refunds) == 3
