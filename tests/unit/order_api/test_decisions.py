"""What each verb decides about an order, in one pure function, and that a second run recognises its own effect. C4"""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from order_api.calls import REDRIVES_MAX, Accepted, Call, Refused, Try, Unavailable, Withdrawn
from order_api.cancel_order import Cancelled, NotCancellable, cancelled
from order_api.event import Judgement, ReceivedEvent, StoredEvent, parse_event
from order_api.merge import merge
from order_api.money import ExceedsPaid, NotRefundable
from order_api.order import Order, attempts
from order_api.outbox import with_refund_asked
from order_api.pay_order import ATTEMPTS_MAX, NewPayment, NotPayable, paid_again
from order_api.pay_order import Asked as AskedToPay
from order_api.questions import ASKS_IN_DOUBT, in_doubt
from order_api.reconcile import Answer as Answered
from order_api.reconcile import concluding
from order_api.record_events import _in_place, _with_outcome, learning
from order_api.redrive_message import NotRedrivable, Redriven, redriving
from order_api.refund_order import (
    REFUNDS_MAX,
    Asked,
    NewRefund,
    RefundNumberTaken,
    TooManyRefunds,
    may_be_refunded,
    refunded,
)
from order_api.resolve_review import AlreadyResolved, NothingToRefund, Resolution, SeveralReviews, resolved
from order_api.settle_call import settling
from shared import wire
from shared.documents import Verdict
from shared.idempotency import Answer, KeyReused, keyed
from shared.not_found import NotFound
from tests.unit.order_api.examples import (
    AMOUNT,
    CANCELLED,
    EARLIER,
    LATER,
    NOW,
    ORDER_ID,
    a_charge,
    a_dispute,
    a_refund,
    a_review,
    an_order,
    at,
    with_its_charge_call,
)
from tools.paid_charge import event_of, paid_charge

PAID = a_charge("succeeded")
CLAIMED: dict[str, Any] = {"attempts": 1, "claim": "token", "due_at": at(45), "first_attempt_at": NOW}
TRIED = Try(at=NOW, ms=1, outcome="unavailable")


def after(verdict: Verdict[Order, Any]) -> Order:
    assert verdict.after is not None
    return verdict.after


def cancel(order: Order, request: str = "cx_1") -> Verdict[Order, Any]:
    return cancelled(order, request, at=at(5))


def test_cancelling_voids_the_unsent_charge_in_the_same_write() -> None:
    made = cancel(with_its_charge_call(an_order()))
    order = after(made)
    assert (order.status, [call.state for call in order.calls]) == ("Cancelled", ["void"])
    assert made.answer == Cancelled(order, newly=True)


def test_c4_a_cancellation_that_runs_again_is_new_and_another_of_the_same_instant_is_not() -> None:
    order = after(cancel(an_order()))
    for request, newly in (("cx_1", True), ("cx_2", False)):
        again = cancel(order, request)
        assert (again.answer, again.after, again.found) == (Cancelled(order, newly=newly), None, True)


def test_c9_that_an_order_cannot_be_cancelled_rests_on_an_absence() -> None:
    verdict = cancel(an_order(PAID))
    assert (verdict.answer, verdict.after, verdict.found) == (NotCancellable(), None, False)


def refund(
    order: Order, amount: int | None = 4000, number: str | None = None, *, key: str = "key", **changes: Any
) -> Verdict[Order, Any]:
    fields = {"refund_id": "rf_9", "at": NOW, "ttl": timedelta(hours=24), **changes}
    new = NewRefund(None if amount is None else Decimal(amount).scaleb(-2), number)
    asked = Asked(request=keyed(key, "POST refunds", new), new=new, amount_minor=amount, **fields)
    return refunded(order, asked, at(1))


def test_a_refund_its_key_and_its_call_are_one_write() -> None:
    made = refund(an_order(PAID))
    order = after(made)
    assert [(one.id, one.amount_minor) for one in order.refunds] == [("rf_9", 4000)]
    assert [(key.value, key.of, key.body) for key in order.keys] == [("key", "rf_9", made.answer.body)]
    assert [(call.refund_id, call.state) for call in order.calls[1:]] == [("rf_9", "open")]
    assert not made.answer.replayed


def test_c4_a_refund_that_runs_again_finds_itself_and_the_same_request_of_another_is_its_replay() -> None:
    made = refund(an_order(PAID), AMOUNT)
    again = refund(after(made), AMOUNT)
    assert (again.answer, again.after, again.found) == (made.answer, None, True)
    replay = refund(after(made), AMOUNT, refund_id="rf_10")
    assert (replay.answer, replay.found) == (msgspec.structs.replace(made.answer, replayed=True), True)
    assert refund(after(made), 1, refund_id="rf_10").answer == KeyReused()


def test_c4_a_refund_whose_key_has_expired_since_finds_itself_all_the_same() -> None:
    made = refund(an_order(PAID), 4000)
    forgotten = msgspec.structs.replace(after(made), keys=())
    again = refund(forgotten, 4000)
    assert (again.answer, again.after, again.found) == (made.answer, None, True)


def test_c10_an_expired_key_counts_as_none_by_the_servers_clock_and_goes_in_the_same_write() -> None:
    order = after(refund(an_order(PAID), ttl=timedelta(seconds=1)))
    again = refund(order, 1, refund_id="rf_10")
    assert isinstance(again.answer, Answer)
    assert not again.answer.replayed
    assert [key.of for key in after(again).keys] == ["rf_10"]


def test_c18_a_refund_that_is_refused_writes_nothing_and_rests_on_an_absence() -> None:
    for verdict, answer in (
        (refund(an_order()), NotRefundable()),
        (refund(an_order(PAID, CANCELLED)), NotRefundable()),
        (refund(an_order(PAID, a_refund("requested", 9000)), 1000), ExceedsPaid(999, "USD", 2)),
    ):
        assert (verdict.answer, verdict.after, verdict.found) == (answer, None, False)


def resolve(order: Order | None, decision: Any = "accept", **changes: Any) -> Verdict[Order, Any]:
    fields = {"merchant": "default", "code": "event-mismatch", "event_id": None, "at": at(5), **changes}
    return resolved(order, Resolution(decision=decision, **fields))


def test_a_review_is_decided_once_and_the_same_decision_again_writes_nothing() -> None:
    order = after(resolve(an_order(PAID, a_review())))
    assert [(one.decision, one.resolved_at) for one in order.reviews] == [("accept", at(5))]
    again = resolve(order)
    assert (again.answer, again.after, again.found) == (order, None, True)
    other = resolve(order, "refund")
    assert (other.answer, other.after) == (AlreadyResolved("accept"), None)


def test_c4_a_decision_that_runs_again_decides_no_other_review_that_has_come_up_since() -> None:
    order = after(resolve(an_order(PAID, a_review())))
    meanwhile = merge(order, msgspec.structs.replace(a_review(), event_id="evt_2"), now=at(6), cause="test")
    again = resolve(meanwhile)
    assert (again.answer, again.after, again.found) == (meanwhile, None, True)
    another = resolve(meanwhile, at=at(7))
    assert [one.decision for one in after(another).reviews] == ["accept", "accept"]


def test_c9_that_a_review_is_closed_rests_on_an_absence() -> None:
    closed = an_order(PAID, a_dispute("won", 1))
    raised = msgspec.structs.replace(a_review("dispute"), event_id="dp_1", resolved_at=at(1))
    verdict = resolve(msgspec.structs.replace(closed, reviews=(raised,)), code="dispute")
    assert (verdict.answer, verdict.found) == (AlreadyResolved(None), False)


def test_where_several_reviews_of_a_code_are_open_one_must_be_named() -> None:
    two = an_order(PAID, a_review(), msgspec.structs.replace(a_review(), event_id="evt_2"))
    assert resolve(two).answer == SeveralReviews(("evt_1", "evt_2"))
    named = after(resolve(two, event_id="evt_2"))
    assert [one.decision for one in named.reviews] == [None, "accept"]


def test_c18_a_refund_that_was_not_made_is_asked_for_once_more_however_often_that_is_decided() -> None:
    order = an_order(PAID, a_refund("failed", 4000))
    decided = after(resolve(order, "refund", code="refund-failed"))
    assert [(one.amount_minor, one.state, one.cause) for one in decided.refunds[1:]] == [
        (4000, "requested", "merchant")
    ]
    assert decided.calls[-1].refund_id == decided.refunds[1].id
    again = resolve(decided, "refund", code="refund-failed")
    assert (again.answer, again.after, again.found) == (decided, None, True)
    taken = an_order(PAID, a_refund("failed", 4000), a_refund("requested", refund_id="rf_2"))
    assert resolve(taken, "refund", code="refund-failed").answer == ExceedsPaid(0, "USD", 2)


def test_a_refund_by_hand_of_a_charge_too_many_may_be_decided_to_have_been_meant_for_the_order() -> None:
    by_hand = a_refund("succeeded", refund_id="rf_h", charge_id=LATER, cause="provider")
    both = [PAID, a_charge("succeeded", LATER)]
    [automatic] = an_order(*both).refunds
    refused = msgspec.structs.replace(automatic, state="refused")
    order = an_order(*both, by_hand, refused)
    assert [one.code for one in order.reviews if one.resolved_at is None] == ["second-charge"]
    given = after(resolve(order, "refund", code="second-charge"))
    assert [(one.charge_id, one.amount_minor) for one in given.refunds if one.cause == "merchant"] == [
        (EARLIER, AMOUNT)
    ]
    assert after(resolve(order, code="second-charge")).refunds == order.refunds


@pytest.mark.parametrize("code", ["event-mismatch", "dispute"])
def test_what_no_refund_can_mend_is_accepted_and_not_refunded(code: str) -> None:
    order = an_order(PAID, a_review(), a_dispute("lost", 1))
    assert resolve(order, "refund", code=code).answer == NothingToRefund()
    assert after(resolve(order, code=code)).refunds == ()


def test_c9_that_there_is_no_such_review_rests_on_an_absence() -> None:
    for order, changes in ((None, {}), (an_order(a_review()), {"merchant": "other"}), (an_order(), {})):
        verdict = resolve(order, **changes)
        assert (verdict.answer, verdict.found) == (NotFound("review"), False)


def redrive(order: Order | None, redrive_id: str = "rd_1", merchant: str = "default") -> Verdict[Order, Any]:
    return redriving(order, merchant, "obx_" + ORDER_ID[4:], redrive_id, at=at(5), now=at(6))


def test_c4_a_redrive_is_made_once_and_finds_itself() -> None:
    made = redrive(with_its_charge_call(an_order(), state="dead", due_at=None, attempts=24, first_attempt_at=NOW))
    order = after(made)
    assert (order.calls[0].state, order.calls[0].due_at, order.calls[0].redrives) == ("open", at(6), 1)
    again = redrive(order)
    assert (again.answer, again.after, again.found) == (Redriven(ORDER_ID, order.calls[0]), None, True)
    other = redrive(order, "rd_2")
    assert (other.answer, other.found) == (NotRedrivable(order.calls[0]), False)


def test_what_is_not_there_or_was_redriven_too_often_is_not_redriven() -> None:
    dead = with_its_charge_call(an_order(), state="dead", due_at=None, redrives=REDRIVES_MAX)
    no_calls = msgspec.structs.replace(dead, calls=())
    assert (
        redrive(None).answer
        == redrive(dead, merchant="other").answer
        == redrive(no_calls).answer
        == NotFound("message")
    )
    assert redrive(dead).answer == NotRedrivable(dead.calls[0])


def settle(order: Order | None, call: Call, reply: Any) -> Verdict[Order, bool]:
    return settling(order, call, reply, TRIED, at=at(9), now=at(10))


def test_c11_settling_under_a_claim_that_was_passed_changes_nothing() -> None:
    order = with_its_charge_call(an_order(), **CLAIMED)
    [claimed] = order.calls
    for passed in (
        with_its_charge_call(an_order(), **{**CLAIMED, "claim": "another"}),
        with_its_charge_call(an_order(), **{**CLAIMED, "state": "done", "claim": None}),
        an_order(),
        None,
    ):
        verdict = settle(passed, claimed, Refused(422, "invalid-fields"))
        assert (verdict.answer, verdict.after) == (False, None)


def test_c4_settling_again_finds_that_it_has_settled() -> None:
    order = with_its_charge_call(an_order(), **CLAIMED)
    [claimed] = order.calls
    again = settle(after(settle(order, claimed, Unavailable("x"))), claimed, Unavailable("x"))
    assert (again.answer, again.after) == (True, None)


def test_c15_a_reply_makes_a_charge_known_as_pending_and_never_an_order_paid() -> None:
    order = with_its_charge_call(an_order(), **CLAIMED)
    known = after(settle(order, order.calls[0], Accepted("ch_1", AMOUNT, NOW)))
    assert (known.status, [charge.state for charge in known.charges], known.asks_left) == ("Pending", ["pending"], 0)
    adopted = after(settle(order, order.calls[0], Accepted("ch_1", AMOUNT, NOW, adopted=True)))
    assert adopted.asks_left == ASKS_IN_DOUBT, "there may be another"
    assert after(settle(order, order.calls[0], Withdrawn())).asks_left == ASKS_IN_DOUBT


@pytest.mark.parametrize(
    ("reply", "state", "review"),
    [(Refused(409, "exceeds-paid"), "refused", "refund-failed"), (Unavailable("no"), "requested", "dead-letter")],
)
def test_c18_only_a_definite_refusal_releases_what_a_refund_has_reserved(reply: Any, state: str, review: str) -> None:
    order = with_refund_asked(an_order(PAID), a_refund("requested"), now=NOW)
    claimed = msgspec.structs.replace(order.calls[1], **{**CLAIMED, "attempts": 24})
    order = msgspec.structs.replace(order, calls=(order.calls[0], claimed))
    settled = after(settle(order, claimed, reply))
    assert [refund.state for refund in settled.refunds] == [state]
    assert [one.code for one in settled.reviews] == [review]


def test_c15_a_charge_that_is_refused_for_good_has_failed_and_leaves_nothing_open() -> None:
    order = with_its_charge_call(an_order(), **CLAIMED)
    failed = after(settle(order, order.calls[0], Refused(422, "invalid-fields")))
    assert (failed.status, failed.calls[0].state, failed.calls[0].refused_code) == ("Failed", "done", "invalid-fields")
    assert (failed.reviews, failed.due_at) == ((), None)


def test_c2_a_refund_that_must_go_back_and_is_refused_is_followed_by_the_next_in_the_same_write() -> None:
    order = an_order(PAID, CANCELLED)
    claimed = msgspec.structs.replace(order.calls[1], **CLAIMED)
    order = msgspec.structs.replace(order, calls=(order.calls[0], claimed))
    settled = after(settle(order, claimed, Refused(409, "not-refundable")))
    assert [refund.state for refund in settled.refunds] == ["refused", "requested"]
    assert settled.calls[-1].due_at == at(9 + 60)
    assert settled.reviews == ()
    unknown = after(settle(order, msgspec.structs.replace(claimed, attempts=24), Unavailable("HTTP 500")))
    assert (unknown.calls[-1].state, unknown.calls[-1].last_error) == ("open", "HTTP 500"), "not given up"


FAILED_CHARGE = a_charge("failed")


def pay(order: Order, method: str = "pm_2", payment_id: str = "pay_1", *, key: str = "pay-key") -> Verdict[Order, Any]:
    new = NewPayment(method)
    request = keyed(key, "POST payments", new)
    asked = AskedToPay(request=request, new=new, payment_id=payment_id, at=at(5), ttl=timedelta(hours=24))
    return paid_again(order, asked, at(6))


def test_c15_a_failed_order_is_pending_again_with_a_new_attempt_in_one_write() -> None:
    made = pay(an_order(FAILED_CHARGE))
    order = after(made)
    assert (order.status, [call.reference for call in attempts(order)]) == ("Pending", [ORDER_ID, f"{ORDER_ID}.2"])
    assert order.due_at is not None
    assert (made.answer.status, made.answer.location) == (202, f"/api/orders/{ORDER_ID}")
    assert '"status":"Pending"' in made.answer.body


def test_c4_paying_again_finds_itself_and_the_same_request_of_another_is_its_replay() -> None:
    made = pay(an_order(FAILED_CHARGE))
    assert (pay(after(made)).answer, pay(after(made)).after) == (made.answer, None)
    replay = pay(after(made), payment_id="pay_2")
    assert (replay.answer, replay.found) == (msgspec.structs.replace(made.answer, replayed=True), True)
    assert pay(after(made), "pm_3", "pay_2").answer == KeyReused()
    assert pay(after(made), payment_id="pay_2", key="other").answer == NotPayable("Pending")


def test_c15_only_a_failed_order_is_paid_again_and_not_without_end() -> None:
    for order in (an_order(), an_order(PAID), an_order(FAILED_CHARGE, CANCELLED)):
        verdict = pay(order)
        assert (verdict.answer, verdict.after, verdict.found) == (NotPayable(order.status), None, False)
    order = an_order(FAILED_CHARGE)
    refused = msgspec.structs.replace(order.calls[0], refused_code="invalid-fields")
    last = msgspec.structs.replace(order, calls=(refused,) * (ATTEMPTS_MAX - 1))
    assert after(pay(last)).status == "Pending"
    full = msgspec.structs.replace(order, calls=(refused,) * ATTEMPTS_MAX)
    assert pay(full).answer == NotPayable("Failed")


def test_c15_an_order_of_before_whose_refusal_is_a_dead_call_has_failed_and_is_paid_again() -> None:
    dead = {"state": "dead", "attempts": 1, "due_at": None, "refused_code": "invalid-fields", "first_attempt_at": NOW}
    old = with_its_charge_call(an_order(), **dead)
    assert old.status == "Pending"
    assert after(pay(old)).status == "Pending"
    known = merge(old, now=at(1), cause="test")
    assert (known.status, known.reviews) == ("Failed", ())
    assert redrive(old).answer == NotRedrivable(old.calls[0])
    pending = msgspec.structs.replace(an_order(a_charge("failed"), a_charge("pending", LATER)), status="Failed")
    assert pay(pending).answer == NotPayable("Pending")


def test_c17_a_success_of_the_first_attempt_voids_the_second_which_nobody_has_sent() -> None:
    order = merge(after(pay(an_order(FAILED_CHARGE))), PAID, now=at(9), cause="test")
    assert (order.status, [call.state for call in attempts(order)]) == ("Paid", ["done", "void"])


def test_a_refund_number_is_taken_for_ever_within_its_order() -> None:
    order = after(refund(an_order(PAID), 1, "R-1", ttl=timedelta(0)))
    again = refund(order, 1, "R-1", refund_id="rf_10")
    assert (again.answer, again.after) == (RefundNumberTaken("R-1"), None)
    assert isinstance(refund(order, 1, "R-2", refund_id="rf_10").answer, Answer)


def test_an_order_takes_no_refunds_of_a_merchant_without_end() -> None:
    refunds = tuple(a_refund("failed", 1, refund_id=f"rf_{number}") for number in range(REFUNDS_MAX))
    assert may_be_refunded(msgspec.structs.replace(an_order(PAID), refunds=refunds), 1) == TooManyRefunds()
    others = (*refunds[1:], a_refund("failed", 1, refund_id="rf_x", cause="provider"))
    assert not isinstance(may_be_refunded(msgspec.structs.replace(an_order(PAID), refunds=others), 1), TooManyRefunds)


def a_wire_charge(charge_id: str = EARLIER, amount: int = AMOUNT) -> wire.Charge:
    return paid_charge(ORDER_ID, id=charge_id, amount=amount, created_at=NOW, settled_at=NOW)


def event(charge_id: str = EARLIER, amount: int = AMOUNT) -> ReceivedEvent:
    raw = event_of(a_wire_charge(charge_id, amount), f"evt_{charge_id}")
    return parse_event(raw, source="webhook", now=at(7))


def test_c21_an_order_learns_the_fact_that_its_call_is_over_and_what_it_owes_in_one_write() -> None:
    paid = learning(with_its_charge_call(an_order(), **CLAIMED), event())
    order = after(paid)
    assert (order.status, order.calls[0].state) == ("Paid", "done")
    twice = learning(order, event(LATER))
    assert [(one.charge_id, one.cause) for one in after(twice).refunds] == [(LATER, "duplicateCharge")]
    assert len(after(twice).calls) == 2


def test_c21_learning_again_writes_nothing() -> None:
    again = learning(after(learning(with_its_charge_call(an_order()), event())), event())
    assert (again.after, again.found, again.answer.outcome) == (None, True, "applied")
    nobodys = learning(None, event())
    assert (nobodys.after, nobodys.found, nobodys.answer.outcome) == (None, False, "unmatched")


def stored(outcome: Any = "received", raw: str = "", **changes: Any) -> StoredEvent:
    fields: dict[str, Any] = {"received_at": NOW, "reconcile_at": at(60), **changes}
    return StoredEvent(
        id=event().id,
        outcome=outcome,
        source="webhook",
        raw=raw or event().raw,
        **{"type": "payment.succeeded", **fields},
    )


APPLIED = Judgement("applied")


def test_c21_an_outcome_is_written_to_the_bytes_that_were_judged_and_never_over_a_final_one() -> None:
    written = _with_outcome(stored(), event(), APPLIED, 0)
    assert written.answer is True
    assert written.after is not None
    assert (written.after.outcome, written.after.reconcile_at) == ("applied", None)
    for there, answer in (
        (stored("applied"), False),
        (stored("ignored", type="payment.noticed"), None),
        (stored(raw="{}"), None),
        (None, None),
    ):
        verdict = _with_outcome(there, event(), APPLIED, 0)
        assert (verdict.answer, verdict.after) == (answer, None)


def test_c19_only_what_matches_nothing_is_judged_again_and_never_what_is_kept_beside() -> None:
    unmatched, beside = stored(), msgspec.structs.replace(stored(), id="evt~0")
    for there, due in ((unmatched, at(60)), (beside, None)):
        written = _with_outcome(there, event(), Judgement("unmatched"), 1).after
        assert written is not None
        assert (written.reconcile_at, written.times_received) == (due, 2)


def test_c20_the_right_bytes_take_the_place_of_those_that_were_known_and_of_no_others() -> None:
    known, new = stored("mismatch", "{}", version=7), stored()
    put = _in_place(known, known, new).after
    assert put is not None
    assert (put.raw, put.outcome, put.version, put.times_received) == (new.raw, "received", 7, 2)
    for there in (None, stored("applied", "{}"), stored("mismatch", "[]"), new):
        assert _in_place(there, known, new).after is None


def test_c22_an_answer_ends_a_question_only_if_it_was_asked_since_the_doubt() -> None:
    order = msgspec.structs.replace(in_doubt(an_order(PAID)), reconcile_at=at(60))
    for asks_left, left in ((0, None), (ASKS_IN_DOUBT, ASKS_IN_DOUBT - 1)):
        concluded = concluding(order, Answered(asks_left, (), (), at(9))).after
        assert (concluded and concluded.asks_left) == left
    assert concluding(None, Answered(0, (), (), at(9))).after is None


def test_c15_a_charge_that_only_a_list_shows_is_pending_and_news_is_no_answer() -> None:
    """However it ended: that is for its event to say. One for other money is left to its event too."""
    order = msgspec.structs.replace(in_doubt(an_order(PAID)), reconcile_at=at(60))
    charge = a_wire_charge(LATER)
    learned = after(concluding(order, Answered(ASKS_IN_DOUBT, (charge,), (), at(9))))
    assert [(one.id, one.state) for one in learned.charges] == [(EARLIER, "succeeded"), (LATER, "pending")]
    assert learned.asks_left == ASKS_IN_DOUBT
    other = msgspec.structs.replace(charge, amount=1)
    assert len(after(concluding(order, Answered(ASKS_IN_DOUBT, (other,), (), at(9)))).charges) == 1


def test_c22_a_dispute_that_only_a_list_shows_is_open_until_its_event_tells() -> None:
    order = msgspec.structs.replace(in_doubt(an_order(PAID)), reconcile_at=at(60))
    dispute = wire.Dispute(
        id="dp_1",
        charge_id=EARLIER,
        charge_reference=ORDER_ID,
        amount=4000,
        currency="USD",
        reason="fraudulent",
        status="lost",
        created_at=NOW,
        closed_at=NOW,
    )
    learned = after(concluding(order, Answered(ASKS_IN_DOUBT, (), (dispute,), at(9))))
    assert [(one.id, one.state, one.amount_minor) for one in learned.disputes] == [("dp_1", "open", 4000)]
