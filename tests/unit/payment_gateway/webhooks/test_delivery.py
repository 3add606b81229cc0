from datetime import datetime
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from payment_gateway.faults.rates import STEPS_MAX
from payment_gateway.faults.scenario import Scenario
from payment_gateway.settings import Settings
from payment_gateway.webhooks.delivery import (
    RETRY_AFTER_CAP_SECONDS,
    Attempt,
    Delivery,
    Failure,
    Hold,
    Next,
    after,
    new_deliveries,
    recorded,
)
from payment_gateway.webhooks.event import Mark, event_id
from shared.env import load
from shared.mongo import to_document
from tests.unit.payment_gateway.examples import NOW, at

SCHEDULE = [5, 300, 1800]
DEFAULT_SCHEDULE = load(Settings, {"MONGODB_URI": "mongodb://db"}).webhook_retry_schedule_seconds


def an_attempt(status: int | None, number: int = 1) -> Attempt:
    failure: Failure | None = "timeout" if status is None else None
    return Attempt(
        number=number, at=NOW, status=status, duration_ms=7, failure=failure, error=failure, response_body=""
    )


def following(status: int | None, number: int = 1, *, retry_after_seconds: float | None = None) -> Next:
    return after(an_attempt(status, number), SCHEDULE, ended_at=NOW, retry_after_seconds=retry_after_seconds)


def wait_seconds(status: int | None, number: int = 1, *, retry_after_seconds: float | None = None) -> float:
    next_one = following(status, number, retry_after_seconds=retry_after_seconds)
    assert next_one.state == "pending"
    assert isinstance(next_one.next_attempt_at, datetime)
    return (next_one.next_attempt_at - NOW).total_seconds()


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
@pytest.mark.parametrize("number", [1, 4, 100])
def test_any_2xx_is_a_success_however_late(status: int, number: int) -> None:
    assert following(status, number) == Next("delivered")


@pytest.mark.parametrize("status", [None, 100, 199, 300, 301, 304, 307, 308, 400, 401, 404, 409, 429, 500, 503, 599])
def test_everything_else_is_tried_again_a_redirect_too(status: int | None) -> None:
    next_one = following(status)
    assert (next_one.state, next_one.gone) == ("pending", False)


@pytest.mark.parametrize("number", [1, 4])
def test_an_endpoint_that_says_410_is_disabled_and_not_tried_again(number: int) -> None:
    assert following(410, number, retry_after_seconds=5) == Next("failed", None, gone=True)


@pytest.mark.parametrize(("number", "seconds"), list(enumerate(SCHEDULE, start=1)))
def test_each_failure_waits_as_the_schedule_says_give_or_take_a_tenth(number: int, seconds: float) -> None:
    assert wait_seconds(500, number) == pytest.approx(seconds, rel=0.101)


@pytest.mark.parametrize("retry_after_seconds", [None, 5.0])
def test_the_wait_begins_when_the_attempt_has_ended(retry_after_seconds: float | None) -> None:
    timed_out = an_attempt(None)
    next_one = after(timed_out, SCHEDULE, ended_at=at(15), retry_after_seconds=retry_after_seconds)
    assert next_one.next_attempt_at is not None
    assert at(19.5) <= next_one.next_attempt_at <= at(20.5)


def test_an_attempt_after_the_schedule_is_the_last() -> None:
    assert following(500, len(SCHEDULE)).state == "pending"
    assert following(500, len(SCHEDULE) + 1) == Next("failed")
    assert following(503, len(SCHEDULE) + 1, retry_after_seconds=60) == Next("failed")


def test_without_a_schedule_there_is_one_attempt() -> None:
    assert after(an_attempt(500), [], ended_at=NOW, retry_after_seconds=None) == Next("failed")


@pytest.mark.parametrize("status", [200, 410, 500, None])
@pytest.mark.parametrize("schedule", [[], [5.0], SCHEDULE])
def test_however_many_forgeries_there_are_the_true_event_follows(status: int | None, schedule: list[float]) -> None:
    for number in range(1, STEPS_MAX + 1):
        forged = msgspec.structs.replace(an_attempt(status, number), forgery="bad_signature")
        next_one = after(forged, schedule, ended_at=NOW, retry_after_seconds=None)
        assert (next_one.state, next_one.gone) == ("pending", False)
        assert next_one.next_attempt_at is not None


def test_a_retry_after_is_honoured() -> None:
    assert wait_seconds(503, retry_after_seconds=120) == 120


def test_a_retry_after_does_not_shorten_the_schedule() -> None:
    assert wait_seconds(429, 2, retry_after_seconds=1) >= 270


def test_a_retry_after_of_thirty_years_is_capped() -> None:
    assert wait_seconds(503, retry_after_seconds=1_000_000_000) == RETRY_AFTER_CAP_SECONDS


@given(st.none() | st.integers(100, 599), st.integers(1, 12), st.none() | st.floats(0, allow_nan=False))
def test_whatever_came_back_the_delivery_ends_or_is_tried_within_a_day_or_so(
    status: int | None, number: int, retry_after_seconds: float | None
) -> None:
    tried = an_attempt(status, number)
    next_one = after(tried, DEFAULT_SCHEDULE, ended_at=NOW, retry_after_seconds=retry_after_seconds)
    assert (next_one.next_attempt_at is not None) == (next_one.state == "pending")
    if next_one.next_attempt_at is not None:
        assert NOW < next_one.next_attempt_at <= at(1.11 * 24 * 3600)


def test_the_default_schedule_is_that_of_the_field() -> None:
    assert (5, 300, 1800, *(hours * 3600 for hours in (2, 5, 10, 14, 20, 24))) == DEFAULT_SCHEDULE


def mark(fault: Literal["wrong_amount"] | None = None, *to: str) -> Mark:
    return Mark(
        id=event_id("ch_1", "payment.succeeded", fault),
        object="ch_1",
        type="payment.succeeded",
        fault=fault,
        raw="{}",
        at=NOW,
        to=to or ("we_1",),
    )


def made(marked: Mark, **scenario: Any) -> list[Delivery]:
    return new_deliveries(marked, Scenario(**scenario), "default", now=NOW, queued_at=at(1))


def test_announcing_twice_delivers_once_to_each_endpoint() -> None:
    """C23"""
    ids = [[one.id for one in made(mark(None, "we_1", "we_2"), webhooks=["duplicated"])] for _ in range(2)]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 6


def test_a_new_delivery_is_due_at_once_and_held_for_nothing() -> None:
    [delivery] = made(mark())
    assert (delivery.state, delivery.next_attempt_at, delivery.attempts) == ("pending", NOW, ())
    assert (delivery.merchant, delivery.event_id, delivery.endpoint_id) == ("default", mark().id, "we_1")
    assert (delivery.hold, delivery.queued_at) == (UNSET, at(1))
    assert "hold" not in to_document(delivery), "an index has those that are held"


def test_a_true_event_waits_behind_the_one_with_a_wrong_amount() -> None:
    wrong, true = (
        made(mark(fault), wrong_amount=True, webhook_delay_seconds=60)[0] for fault in ("wrong_amount", None)
    )
    assert (wrong.hold, wrong.next_attempt_at, wrong.fault) == (UNSET, NOW, "wrong_amount")
    assert (true.hold, true.next_attempt_at, true.fault) == (Hold(wrong.id), at(60), None)
    assert to_document(true)["hold"] == {"for": wrong.id}


def test_what_is_out_of_order_waits_for_whatever_is_queued_next_and_what_is_delayed_for_its_time() -> None:
    [out_of_order] = made(mark(), webhooks=["out_of_order"], webhook_delay_seconds=60)
    assert (out_of_order.hold, out_of_order.next_attempt_at) == (Hold(None), at(60))
    [delayed] = made(mark(), webhooks=["delayed"], webhook_delay_seconds=60)
    assert (delayed.hold, delayed.next_attempt_at) == (UNSET, at(60))


def test_what_is_dropped_is_there_to_be_resent_and_never_tried() -> None:
    [dropped] = made(mark(), webhooks=["dropped"])
    assert (dropped.state, dropped.next_attempt_at, dropped.hold) == ("cancelled", None, UNSET)


def claimed(**changes: Any) -> Delivery:
    [new] = made(mark())
    return msgspec.structs.replace(new, **{"claim": "mine", "lease_until": at(60), "hold": Hold(), **changes})


def test_an_attempt_is_recorded_under_its_claim_and_ends_it() -> None:
    """C23"""
    attempt, later = an_attempt(500), Next("pending", at(5))
    verdict = recorded(claimed(), "mine", attempt, later)
    after = verdict.after
    assert verdict.answer
    assert after is not None
    assert (after.attempts, after.state, after.next_attempt_at) == ((attempt,), "pending", at(5))
    assert (after.claim, after.lease_until, after.hold) == (None, None, UNSET)
    again = recorded(msgspec.structs.replace(after, claim="another"), "mine", attempt, later)
    assert (again.answer, again.after) == (True, None), "our own effect"


@pytest.mark.parametrize("delivery", [None, claimed(claim="another"), claimed(claim=None)])
def test_an_attempt_whose_claim_has_passed_changes_nothing(delivery: Delivery | None) -> None:
    """C23"""
    verdict = recorded(delivery, "mine", an_attempt(200), Next("delivered"))
    assert (verdict.answer, verdict.after, verdict.found) == (False, None, True)


def test_what_was_resent_under_the_same_claim_stays_due_unless_nothing_more_is_to_be_sent() -> None:
    resent = claimed(resent="mine", next_attempt_at=at(1))
    for following, kept in ((Next("pending", at(5)), True), (Next("failed"), True), (Next("failed", gone=True), False)):
        after = recorded(resent, "mine", an_attempt(500), following).after
        assert after is not None
        assert (after.state, after.next_attempt_at) == (("pending", at(1)) if kept else ("failed", None))
    before = recorded(claimed(resent="another claim"), "mine", an_attempt(500), Next("pending", at(5))).after
    assert before is not None
    assert before.next_attempt_at == at(5)


def test_what_ends_without_an_attempt_has_none() -> None:
    after = recorded(claimed(), "mine", None, Next("cancelled")).after
    assert after is not None
    assert (after.state, after.attempts, after.next_attempt_at) == ("cancelled", (), None)
