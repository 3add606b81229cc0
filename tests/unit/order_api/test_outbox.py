from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from order_api.order import RefundState, money_owed_back
from order_api.outbox import (
    ATTEMPTS_MAX,
    BACKOFF_CAP_SECONDS,
    CLOCK_SKEW,
    PERMANENT_REFUSALS,
    REDRIVES_MAX,
    RETRY_AFTER_CAP_SECONDS,
    Accepted,
    Dead,
    Done,
    Message,
    Refused,
    Retry,
    State,
    Unavailable,
    Void,
    Withdrawn,
    charge_message,
    death_id,
    decide,
    may_be_redriven,
    may_have_been_done,
    must_ask_first,
    refund_message,
)
from shared import wire
from tests.unit.order_api.examples import AMOUNT, CANCELLED, EARLIER, NOW, ORDER_ID, a_charge, a_refund, an_order, at


def a_message(**changes: Any) -> Message:
    """`attempts` already counts the one whose reply is judged."""
    return msgspec.structs.replace(charge_message(an_order()), **{"attempts": 1, **changes})


def retried(message: Message, reply: Unavailable) -> Retry:
    decision = decide(message, reply)
    assert isinstance(decision, Retry)
    return decision


def test_a_charge_is_asked_for_with_the_orders_id_as_reference() -> None:
    message = charge_message(an_order())
    asked = msgspec.json.decode(message.body, type=wire.ChargeRequest)
    assert message.path == "/v1/charges"
    assert asked == wire.ChargeRequest(amount=AMOUNT, currency="USD", reference=ORDER_ID, payment_method="pm_card_visa")


def test_a_refund_is_asked_for_of_its_charge_with_its_own_id_as_reference() -> None:
    message = refund_message(an_order(a_charge("succeeded")), a_refund("requested", 4000), now=NOW)
    asked = msgspec.json.decode(message.body, type=wire.RefundRequest)
    assert (message.path, message.order_id, message.refund_id) == (f"/v1/charges/{EARLIER}/refunds", ORDER_ID, "rf_1")
    assert asked == wire.RefundRequest(amount=4000, reference="rf_1")


def test_an_order_has_one_charge_message_and_its_body_never_changes() -> None:
    """C12: the provider's Idempotency-Key and the bytes under it are derived from what does not change."""
    one = charge_message(an_order())
    other = charge_message(an_order(a_charge("failed"), CANCELLED))
    assert (one.id, one.body) == (other.id, other.body)


def test_a_refund_has_one_message_whoever_asks_for_it_and_when() -> None:
    """C12, C2"""
    order = an_order(a_charge("succeeded"), CANCELLED)
    (first,), (second,) = money_owed_back(order, now=NOW), money_owed_back(order, now=at(60))
    one, other = refund_message(order, first, now=NOW), refund_message(order, second, now=at(60))
    assert (one.id, one.path, one.body) == (other.id, other.path, other.body)


def test_other_orders_and_other_refunds_have_other_messages() -> None:
    order = an_order()
    ids = {
        charge_message(order).id,
        charge_message(msgspec.structs.replace(order, id="ord_1")).id,
        refund_message(order, a_refund("requested", refund_id="rf_2"), now=NOW).id,
        refund_message(order, a_refund("requested", refund_id="rf_3"), now=NOW).id,
    }
    assert len(ids) == 4


def test_a_new_message_is_due_at_once_and_was_never_attempted() -> None:
    message = charge_message(an_order())
    assert (message.state, message.attempts, message.first_attempt_at) == ("ready", 0, None)
    assert message.next_attempt_at == NOW - CLOCK_SKEW  # by a server's clock that is behind ours, too


def test_an_accepted_message_is_done() -> None:
    accepted = Accepted("ch_1", AMOUNT, NOW)
    assert decide(a_message(), accepted) == Done(accepted)


def test_an_acceptance_on_the_last_attempt_counts() -> None:
    accepted = Accepted("ch_1", AMOUNT, NOW)
    assert decide(a_message(attempts=ATTEMPTS_MAX), accepted) == Done(accepted)


def test_a_refused_message_is_dead_and_says_why() -> None:
    """C15"""
    assert decide(a_message(), Refused(422, "invalid-fields")) == Dead(
        "refused with 422 invalid-fields", "invalid-fields"
    )


@pytest.mark.parametrize("code", ["unauthenticated", "not-found", "internal", "unavailable", "overloaded", ""])
def test_what_a_retry_can_change_is_no_permanent_refusal(code: str) -> None:
    """C15"""
    assert code not in PERMANENT_REFUSALS


def test_an_unknown_outcome_is_asked_for_again() -> None:
    retry = retried(a_message(), Unavailable("TimeoutError"))
    assert retry.after_seconds > 0
    assert retry.reason == "TimeoutError"


def test_the_last_attempt_makes_a_dead_letter_that_says_what_happened_last() -> None:
    retried(a_message(attempts=ATTEMPTS_MAX - 1), Unavailable("HTTP 500"))
    decision = decide(a_message(attempts=ATTEMPTS_MAX), Unavailable("HTTP 500"))
    assert decision == Dead(f"gave up after {ATTEMPTS_MAX} attempts: HTTP 500")


def test_waits_grow_with_the_attempts() -> None:
    early, late = (retried(a_message(attempts=attempts), Unavailable("x")) for attempts in (1, ATTEMPTS_MAX - 1))
    assert early.after_seconds < 1 < late.after_seconds <= BACKOFF_CAP_SECONDS


def test_a_retry_after_is_honoured() -> None:
    assert retried(a_message(), Unavailable("HTTP 503", 120)).after_seconds == 120


def test_a_retry_after_does_not_shorten_the_backoff() -> None:
    assert retried(a_message(attempts=20), Unavailable("HTTP 503", 1)).after_seconds >= BACKOFF_CAP_SECONDS / 2


def test_a_provider_that_says_in_thirty_years_is_asked_again_today() -> None:
    """C16"""
    assert retried(a_message(), Unavailable("HTTP 503", 1_000_000_000)).after_seconds == RETRY_AFTER_CAP_SECONDS


@given(st.integers(1, ATTEMPTS_MAX - 1), st.none() | st.floats(0, allow_nan=False))
def test_no_wait_is_longer_than_the_cap(attempts: int, retry_after_seconds: float | None) -> None:
    """C16"""
    wait = retried(a_message(attempts=attempts), Unavailable("x", retry_after_seconds)).after_seconds
    assert 0 < wait <= max(RETRY_AFTER_CAP_SECONDS, BACKOFF_CAP_SECONDS)


@pytest.mark.parametrize(("late", "asks"), [(timedelta(0), False), (timedelta(milliseconds=1), True)])
def test_a_message_older_than_23_hours_is_asked_about_before_it_is_posted(late: timedelta, asks: bool) -> None:
    """C13: the provider forgets keys after 24 hours, and a restored database what it has sent."""
    message = a_message(first_attempt_at=None)
    assert must_ask_first(message, now=message.created_at + timedelta(hours=23) + late) is asks
    ahead = message.created_at + timedelta(hours=2)  # the clock of the replica that took the order
    early = msgspec.structs.replace(message, created_at=ahead, first_attempt_at=message.created_at)
    assert must_ask_first(early, now=message.created_at + timedelta(hours=23) + late) is asks


def test_only_a_message_that_was_attempted_before_may_have_been_done() -> None:
    """C15"""
    assert not may_have_been_done(a_message(attempts=1))
    assert may_have_been_done(a_message(attempts=2))


def test_c13_a_redriven_message_is_asked_about_first_and_may_have_been_done() -> None:
    message = a_message(redrives=1)
    assert must_ask_first(message, now=message.created_at)
    assert may_have_been_done(message)


def test_c17_a_message_that_nobody_wants_any_more_is_void() -> None:
    assert decide(a_message(redrives=1), Withdrawn()) == Void()


def test_each_death_of_a_message_has_an_id_of_its_own() -> None:
    assert len({death_id(a_message(redrives=redrives)) for redrives in range(3)}) == 3


@pytest.mark.parametrize(
    ("state", "may"), [("ready", False), ("leased", False), ("done", False), ("void", False), ("dead", True)]
)
def test_only_a_dead_message_may_be_redriven(state: State, may: bool) -> None:
    assert may_be_redriven(a_message(state=state), an_order()) is may


def test_nothing_is_redriven_without_end() -> None:
    """Each time may leave a review on the order."""
    assert may_be_redriven(a_message(state="dead", redrives=REDRIVES_MAX - 1), an_order())
    assert not may_be_redriven(a_message(state="dead", redrives=REDRIVES_MAX), an_order())


@pytest.mark.parametrize(("state", "may"), [("requested", True), ("failed", False), ("succeeded", False)])
def test_c18_a_refund_may_be_redriven_only_while_its_amount_is_reserved(state: RefundState, may: bool) -> None:
    order = an_order(a_charge("succeeded"), a_refund(state))
    message = msgspec.structs.replace(refund_message(order, a_refund("requested"), now=NOW), state="dead")
    assert may_be_redriven(message, order) is may
