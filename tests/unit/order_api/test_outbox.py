from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from order_api.calls import (
    ATTEMPTS_MAX,
    BACKOFF_CAP_SECONDS,
    CLOCK_SKEW,
    GIVEN_BACK_FOR,
    PERMANENT_REFUSALS,
    REDRIVES_MAX,
    RETRY_AFTER_CAP_SECONDS,
    TRIES_KEPT,
    Accepted,
    Call,
    Dead,
    Decision,
    Refused,
    Retry,
    State,
    Try,
    Unavailable,
    Withdrawn,
    death_id,
    decide,
    ended,
    given_back,
    may_have_been_done,
    must_ask_first,
    redriven,
    settled,
)
from order_api.facts import RefundState
from order_api.outbox import (
    answered_by_event,
    charge_call,
    may_be_redriven,
    refund_call,
    with_call,
    with_refund_asked,
    without_unsent_charges,
)
from order_api.questions import ASKS_IN_DOUBT
from shared import wire
from tests.unit.order_api.examples import (
    AMOUNT,
    CANCELLED,
    EARLIER,
    NOW,
    ORDER_ID,
    a_charge,
    a_refund,
    an_order,
    at,
    its_charge_call,
    with_its_charge_call,
)


def a_call(**changes: Any) -> Call:
    """`attempts` already counts the one whose reply is judged."""
    return msgspec.structs.replace(its_charge_call(an_order()), **{"attempts": 1, **changes})


def retried(call: Call, reply: Unavailable) -> Retry:
    decision = decide(call, reply, now=NOW)
    assert isinstance(decision, Retry)
    return decision


def test_a_charge_is_asked_for_with_the_orders_id_as_reference() -> None:
    call = its_charge_call(an_order())
    asked = msgspec.json.decode(call.body, type=wire.ChargeRequest)
    assert call.path == "/v1/charges"
    assert asked == wire.ChargeRequest(amount=AMOUNT, currency="USD", reference=ORDER_ID, payment_method="pm_card_visa")


def test_a_refund_is_asked_for_of_its_charge_with_its_own_id_as_reference() -> None:
    call = refund_call(a_refund("requested", 4000), now=NOW)
    asked = msgspec.json.decode(call.body, type=wire.RefundRequest)
    assert (call.path, call.reference, call.refund_id) == (f"/v1/charges/{EARLIER}/refunds", "rf_1", "rf_1")
    assert asked == wire.RefundRequest(amount=4000, reference="rf_1")


def test_an_order_has_one_charge_call_and_its_body_never_changes() -> None:
    """C12: the provider's Idempotency-Key and the bytes under it are derived from what does not change."""
    one = its_charge_call(an_order())
    other = its_charge_call(an_order(a_charge("failed"), CANCELLED))
    assert (one.id, one.body) == (other.id, other.body)


def test_c12_a_refund_has_one_call_whoever_asks_for_it_and_when() -> None:
    (first,), (second,) = (an_order(a_charge("succeeded"), CANCELLED).refunds for _ in range(2))
    one, other = refund_call(first, now=NOW), refund_call(second, now=at(60))
    assert (one.id, one.path, one.body) == (other.id, other.path, other.body)


def test_c12_each_attempt_to_pay_has_a_call_and_a_reference_of_its_own_which_follow_from_the_order() -> None:
    order = an_order(a_charge("failed"))
    second = charge_call(order, "pm_2", at=at(5))
    again = charge_call(order, "pm_2", at=at(9))
    third = charge_call(msgspec.structs.replace(order, calls=(*order.calls, second)), "pm_3", at=at(10))
    assert [call.reference for call in (order.calls[0], second, third)] == [ORDER_ID, f"{ORDER_ID}.2", f"{ORDER_ID}.3"]
    assert len({order.calls[0].id, second.id, third.id}) == 3
    assert (second.id, second.body) == (again.id, again.body)
    assert msgspec.json.decode(second.body, type=wire.ChargeRequest).payment_method == "pm_2"


def test_other_orders_and_other_refunds_have_other_calls() -> None:
    order = an_order()
    ids = {
        its_charge_call(order).id,
        its_charge_call(msgspec.structs.replace(order, id="ord_1")).id,
        refund_call(a_refund("requested", refund_id="rf_2"), now=NOW).id,
        refund_call(a_refund("requested", refund_id="rf_3"), now=NOW).id,
    }
    assert len(ids) == 4


def test_a_new_call_is_due_at_once_and_was_never_attempted() -> None:
    call = its_charge_call(an_order())
    assert (call.state, call.claim, call.attempts, call.first_attempt_at) == ("open", None, 0, None)
    assert call.due_at == NOW - CLOCK_SKEW  # by a server's clock that is behind ours, too


def test_an_accepted_call_is_done() -> None:
    accepted = Accepted("ch_1", AMOUNT, NOW)
    assert decide(a_call(), accepted, now=NOW) == accepted


def test_an_acceptance_on_the_last_attempt_counts() -> None:
    accepted = Accepted("ch_1", AMOUNT, NOW)
    assert decide(a_call(attempts=ATTEMPTS_MAX), accepted, now=NOW) == accepted


def test_c15_a_refusal_ends_the_call_with_its_code_and_is_no_dead_letter() -> None:
    refused = Refused(422, "invalid-fields")
    assert decide(a_call(), refused, now=NOW) == refused


def test_c2_a_refund_that_must_go_back_is_tried_for_thirty_days_with_pauses_of_up_to_a_day() -> None:
    call = a_call(attempts=ATTEMPTS_MAX + 5)
    almost = NOW + GIVEN_BACK_FOR
    kept_up = decide(call, Unavailable("HTTP 500"), now=almost, must_go_back=True)
    assert kept_up == Retry(86400, "HTTP 500")
    assert decide(a_call(), Unavailable("x"), now=NOW, must_go_back=True) == Retry(60, "x")
    over = decide(call, Unavailable("HTTP 500"), now=almost + timedelta(seconds=1), must_go_back=True)
    assert isinstance(over, Dead)


@pytest.mark.parametrize("code", ["unauthenticated", "not-found", "internal", "unavailable", "overloaded", ""])
def test_what_a_retry_can_change_is_no_permanent_refusal(code: str) -> None:
    """C15"""
    assert code not in PERMANENT_REFUSALS


def test_an_unknown_outcome_is_asked_for_again() -> None:
    retry = retried(a_call(), Unavailable("TimeoutError"))
    assert retry.after_seconds > 0
    assert retry.reason == "TimeoutError"


def test_the_last_attempt_makes_a_dead_letter_that_says_what_happened_last() -> None:
    retried(a_call(attempts=ATTEMPTS_MAX - 1), Unavailable("HTTP 500"))
    decision = decide(a_call(attempts=ATTEMPTS_MAX), Unavailable("HTTP 500"), now=NOW)
    assert decision == Dead(f"gave up after {ATTEMPTS_MAX} attempts: HTTP 500")


def test_waits_grow_with_the_attempts() -> None:
    early, late = (retried(a_call(attempts=attempts), Unavailable("x")) for attempts in (1, ATTEMPTS_MAX - 1))
    assert early.after_seconds < 1 < late.after_seconds <= BACKOFF_CAP_SECONDS


def test_a_retry_after_is_honoured() -> None:
    assert retried(a_call(), Unavailable("HTTP 503", 120)).after_seconds == 120


def test_a_retry_after_does_not_shorten_the_backoff() -> None:
    assert retried(a_call(attempts=20), Unavailable("HTTP 503", 1)).after_seconds >= BACKOFF_CAP_SECONDS / 2


def test_a_provider_that_says_in_thirty_years_is_asked_again_today() -> None:
    """C16"""
    assert retried(a_call(), Unavailable("HTTP 503", 1_000_000_000)).after_seconds == RETRY_AFTER_CAP_SECONDS


@given(st.integers(1, ATTEMPTS_MAX - 1), st.none() | st.floats(0, allow_nan=False))
def test_no_wait_is_longer_than_the_cap(attempts: int, retry_after_seconds: float | None) -> None:
    """C16"""
    wait = retried(a_call(attempts=attempts), Unavailable("x", retry_after_seconds)).after_seconds
    assert 0 < wait <= max(RETRY_AFTER_CAP_SECONDS, BACKOFF_CAP_SECONDS)


@pytest.mark.parametrize(("late", "asks"), [(timedelta(0), False), (timedelta(milliseconds=1), True)])
def test_a_call_older_than_23_hours_is_asked_about_before_it_is_posted(late: timedelta, asks: bool) -> None:
    """C13: the provider forgets keys after 24 hours, and a restored database what it has sent."""
    call = a_call(first_attempt_at=None)
    assert must_ask_first(call, now=call.created_at + timedelta(hours=23) + late) is asks
    ahead = call.created_at + timedelta(hours=2)  # the clock of the replica that took the order
    early = msgspec.structs.replace(call, created_at=ahead, first_attempt_at=call.created_at)
    assert must_ask_first(early, now=call.created_at + timedelta(hours=23) + late) is asks


def test_only_a_call_that_was_attempted_before_may_have_been_done() -> None:
    """C15"""
    assert not may_have_been_done(a_call(attempts=1))
    assert may_have_been_done(a_call(attempts=2))


def test_c13_a_redriven_call_is_asked_about_first_and_may_have_been_done() -> None:
    call = a_call(redrives=1)
    assert must_ask_first(call, now=call.created_at)
    assert may_have_been_done(call)


def test_c17_a_call_that_nobody_wants_any_more_is_void() -> None:
    assert decide(a_call(redrives=1), Withdrawn(), now=NOW) == Withdrawn()


def test_each_death_of_a_call_has_an_id_of_its_own() -> None:
    assert len({death_id(a_call(redrives=redrives)) for redrives in range(3)}) == 3


@pytest.mark.parametrize(("state", "may"), [("open", False), ("done", False), ("void", False), ("dead", True)])
def test_only_a_dead_call_may_be_redriven(state: State, may: bool) -> None:
    assert may_be_redriven(a_call(state=state), an_order()) is may


def test_nothing_is_redriven_without_end() -> None:
    """Each time may leave a review on the order."""
    assert may_be_redriven(a_call(state="dead", redrives=REDRIVES_MAX - 1), an_order())
    assert not may_be_redriven(a_call(state="dead", redrives=REDRIVES_MAX), an_order())


@pytest.mark.parametrize(
    ("state", "may"), [("requested", True), ("refused", False), ("failed", False), ("succeeded", False)]
)
def test_c18_a_refund_may_be_redriven_only_while_its_amount_is_reserved(state: RefundState, may: bool) -> None:
    order = an_order(a_charge("succeeded"), a_refund(state))
    call = msgspec.structs.replace(refund_call(a_refund("requested"), now=NOW), state="dead")
    assert may_be_redriven(call, order) is may


TRIED = Try(at=NOW, ms=12, outcome="unavailable", reason="HTTP 500")
CLAIMED = {"attempts": 1, "claim": "token", "due_at": at(45), "first_attempt_at": NOW}


@pytest.mark.parametrize(
    ("decision", "state", "due"),
    [
        (Accepted("ch_1", AMOUNT, NOW), "done", None),
        (Retry(30, "HTTP 500"), "open", at(40)),
        (Refused(422, "invalid-fields"), "done", None),
        (Dead("gave up"), "dead", None),
        (Withdrawn(), "void", None),
    ],
)
def test_c11_a_call_that_is_settled_has_no_claim_and_only_an_open_one_is_due(
    decision: Decision, state: State, due: Any
) -> None:
    call = settled(a_call(**CLAIMED), decision, TRIED, now=at(10))
    assert (call.state, call.due_at, call.claim, call.settled_claim) == (state, due, None, "token")
    assert call.refused_code == (decision.code if isinstance(decision, Refused) else None)
    assert call.tries == (TRIED,)


def test_a_call_keeps_its_last_tries_only() -> None:
    call = a_call()
    for number in range(TRIES_KEPT + 3):
        call = settled(call, Retry(1, "x"), msgspec.structs.replace(TRIED, ms=number), now=NOW)
    assert [tried.ms for tried in call.tries] == [*range(3, TRIES_KEPT + 3)]


def test_c11_a_claim_that_was_not_sent_costs_no_attempt() -> None:
    call = given_back(a_call(**CLAIMED), at(10))
    assert (call.attempts, call.first_attempt_at, call.due_at, call.claim) == (0, None, at(10), None)
    again = given_back(a_call(**{**CLAIMED, "attempts": 2}), at(10))
    assert (again.attempts, again.first_attempt_at) == (1, NOW), "the first claim lapsed: it may have been sent"
    redriven_one = given_back(a_call(**CLAIMED, redrives=1), at(10))
    assert (redriven_one.attempts, redriven_one.first_attempt_at) == (0, NOW)


def test_a_redriven_call_is_as_good_as_new_but_for_what_it_may_have_done() -> None:
    dead = settled(a_call(**CLAIMED), Dead("gave up"), TRIED, now=at(10))
    call = redriven(dead, "rd_1", at=at(20), now=at(21))
    assert (call.state, call.attempts, call.due_at, call.redrives) == ("open", 0, at(21), 1)
    assert (call.first_attempt_at, call.refused_code) == (NOW, None)


def test_c11_an_order_is_due_when_the_first_of_its_open_calls_is() -> None:
    late, early = a_call(due_at=at(9)), a_call(due_at=at(3))
    over = [a_call(state=state, due_at=at(1)) for state in ("done", "dead", "void")]
    assert [
        msgspec.structs.replace(an_order(), calls=tuple(calls)).due_at for calls in ([late, *over, early], over, [])
    ] == [at(3), None, None]


def test_c14_an_event_ends_the_call_of_its_own_reference_and_no_other() -> None:
    order = with_its_charge_call(an_order(a_charge("succeeded")))
    order = with_refund_asked(order, a_refund("requested"), now=NOW)
    claimed = msgspec.structs.replace(order.calls[1], **CLAIMED)
    order = answered_by_event(with_call(order, claimed), "charge", ORDER_ID, now=at(5))
    assert [(call.state, call.claim) for call in order.calls] == [("done", None), ("open", "token")]
    order = answered_by_event(order, "refund", "rf_1", now=at(6))
    assert [(call.state, call.claim, call.due_at) for call in order.calls] == [("done", None, None)] * 2
    assert answered_by_event(order, "refund", "rf_1", now=at(7)) is order


@pytest.mark.parametrize(
    ("changes", "asks"),
    [
        ({"attempts": 0}, 0),
        (CLAIMED, ASKS_IN_DOUBT),
        ({"attempts": 3, "first_attempt_at": NOW}, ASKS_IN_DOUBT),
        ({"state": "dead", "attempts": 24, "first_attempt_at": NOW}, ASKS_IN_DOUBT),
        ({"state": "done", "attempts": 1, "first_attempt_at": NOW}, 0),
    ],
)
def test_c22_a_charge_that_an_event_ends_after_it_may_have_been_sent_leaves_a_doubt(
    changes: dict[str, Any], asks: int
) -> None:
    order = with_its_charge_call(an_order(), **changes)
    assert answered_by_event(order, "charge", ORDER_ID, now=NOW).asks_left == asks


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "void"),
        (CLAIMED, "open"),
        ({"attempts": 2, "first_attempt_at": NOW}, "open"),
        ({"first_attempt_at": NOW, "redrives": 1}, "open"),
        ({"state": "dead", "attempts": 24}, "dead"),
    ],
)
def test_c17_only_a_charge_that_was_never_sent_nor_claimed_is_void(changes: dict[str, Any], state: State) -> None:
    order = without_unsent_charges(with_its_charge_call(an_order(CANCELLED), **changes), now=NOW)
    assert [call.state for call in order.calls] == [state]
    assert (order.calls[0].due_at is None) is (state == "void") or state == "dead"


def test_c17_a_refund_is_never_void_because_its_order_is_cancelled() -> None:
    order = an_order(a_charge("succeeded"), CANCELLED)
    assert [call.state for call in without_unsent_charges(order, now=NOW).calls] == ["done", "open"]


def test_c14_the_event_of_one_attempt_leaves_the_call_of_another_alone() -> None:
    order = an_order(a_charge("failed"))
    second = charge_call(order, "pm_2", at=at(5))
    order = msgspec.structs.replace(order, calls=(*order.calls, second))
    assert answered_by_event(order, "charge", ORDER_ID, now=at(6)) is order
    assert [call.state for call in answered_by_event(order, "charge", second.reference, now=at(6)).calls] == [
        "done",
        "done",
    ]


def test_c14_a_refund_by_hand_under_the_reference_of_the_order_ends_no_charge_call() -> None:
    order = with_its_charge_call(an_order())
    assert answered_by_event(order, "refund", ORDER_ID, now=at(5)) is order


def test_c2_an_automatic_refund_that_is_redriven_is_tried_for_as_long_again() -> None:
    call = a_call(redrives=1, redriven_at=NOW + 2 * GIVEN_BACK_FOR)
    now = NOW + 2 * GIVEN_BACK_FOR + timedelta(days=1)
    assert isinstance(decide(call, Unavailable("HTTP 500"), now=now, must_go_back=True), Retry)


def test_an_ended_call_keeps_what_was_tried() -> None:
    assert ended(a_call(tries=(TRIED,), **CLAIMED), "done", now=NOW).tries == (TRIED,)
