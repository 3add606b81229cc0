from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment_gateway.faults.payment_method import ScenarioError
from payment_gateway.faults.rates import NO_FAULTS, RATED, Faults
from payment_gateway.faults.scenario import (
    Scenario,
    charge_scenario,
    refund_scenario,
    reply_fault,
    settle_delay,
)

USUAL = timedelta(seconds=5)


def of_charge(
    payment_method: str = "pm_card_visa", faults: Faults = NO_FAULTS, key: str = "key", **asked: Any
) -> Scenario:
    return charge_scenario(payment_method, asked, faults, key)


def of_refund(payment_method: str = "pm_card_visa", faults: Faults = NO_FAULTS, **asked: Any) -> Scenario:
    return refund_scenario(payment_method, asked, faults, "key")


def replies(scenario: Scenario, attempts: int) -> list[str | None]:
    return [reply_fault(scenario, attempt, NO_FAULTS, "key") for attempt in range(1, attempts + 1)]


def test_nothing_goes_wrong_unless_asked_for() -> None:
    assert of_charge() == Scenario()
    assert msgspec.to_builtins(of_charge()) == {}


def test_a_token_and_a_scenario_that_say_the_same_are_the_same() -> None:
    assert of_charge("pm_500|pm_timeout|pm_card_visa") == of_charge(replies=["server_error", "timeout"])


def test_replies_are_in_turn_and_then_true() -> None:
    assert replies(of_charge(replies=["lost", "slow"]), 4) == ["lost", "slow", None, None]


def test_the_last_reply_may_stay_for_ever() -> None:
    assert replies(of_charge(replies=["lost", "slow"], repliesForever=True), 4) == ["lost", "slow", "slow", "slow"]


def test_a_chain_without_an_outcome_stays_at_its_last_step() -> None:
    assert replies(of_charge("pm_429|pm_lost"), 3) == ["too_many_requests", "lost", "lost"]


@pytest.mark.parametrize(
    ("scenario", "seconds"),
    [
        (of_charge(), 5),
        (of_charge(settleDelaySeconds=0), 0),
        (of_charge(settleDelaySeconds=9), 9),
        (of_charge("pm_slow"), 60),
        (of_charge("pm_slow", settleDelaySeconds=9), 9),
        (of_charge(webhooks=["early"]), 0),
    ],
)
def test_how_long_it_stays_pending(scenario: Scenario, seconds: float) -> None:
    assert settle_delay(scenario, usual=USUAL) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("payment_method", "asked", "pointer"),
    [
        ("pm_500", {"replies": ["lost"]}, "/scenario/replies"),
        ("pm_card_visa", {"failureCode": "refused"}, "/scenario/failureCode"),
        ("pm_card_visa", {"repliesForever": True}, "/scenario/repliesForever"),
        ("pm_card_visa", {"webhooks": ["delayed", "dropped"]}, "/scenario/webhooks"),
        ("pm_card_visa", {"webhooks": ["early", "early"]}, "/scenario/webhooks"),
        ("pm_card_visa", {"webhooks": ["duplicated", "duplicated"]}, "/scenario/webhooks"),
        ("pm_card_visa", {"webhooks": ["dropped", "bad_signature"]}, "/scenario/webhooks"),
        ("pm_slow", {"webhooks": ["early"]}, "/scenario/webhooks"),
        ("pm_card_visa", {"wrongAmount": True, "webhooks": ["dropped"]}, "/scenario/wrongAmount"),
        ("pm_lost_card", {"disputed": True}, "/scenario/disputed"),
    ],
)
def test_what_contradicts_itself_is_refused_by_its_member(
    payment_method: str, asked: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(ScenarioError) as refused:
        of_charge(payment_method, **asked)
    assert refused.value.pointer == pointer


def test_a_refund_fails_if_asked_to_or_if_its_charge_was_paid_so() -> None:
    assert of_refund().failure_code is None
    assert of_refund(failureCode="lost_card").failure_code == "lost_card"
    assert of_refund("pm_500|pm_refund_fails").failure_code == "refused"
    assert of_refund("pm_refund_fails", failureCode="lost_card").failure_code == "lost_card"


def test_the_steps_of_a_chain_are_not_for_its_refunds() -> None:
    assert of_refund("pm_500|pm_card_visa") == Scenario()


def test_a_charge_is_disputed_if_asked_to_be_or_if_its_card_or_the_rates_say_so() -> None:
    always = Faults(rates={"disputed": 1, "declined": 0.5})
    assert of_charge("pm_500|pm_card_disputed").disputed
    assert of_charge(disputed=True).disputed
    drawn = [of_charge(faults=always, key=f"key-{number}") for number in range(20)]
    assert all(one.disputed == (one.failure_code is None) for one in drawn)
    assert {one.disputed for one in drawn} == {False, True}


def test_a_refund_is_not_disputed() -> None:
    assert of_refund("pm_card_disputed", Faults(rates={"disputed": 1})) == of_refund()
    with pytest.raises(ScenarioError) as refused:
        of_refund(disputed=True)
    assert refused.value.pointer == "/scenario/disputed"


EVERYTHING = st.fixed_dictionaries({}, optional={name: st.floats(0, 1) for name in RATED})


@given(seed=st.integers(0, 2**53 - 1), rates=EVERYTHING, key=st.text(min_size=1))
def test_rates_never_contradict_themselves_and_are_the_same_again(seed: int, rates: dict[str, float], key: str) -> None:
    faults = Faults(seed=seed, rates=rates)
    drawn = of_charge(faults=faults, key=key)
    assert of_charge(faults=faults, key=key) == drawn
    told = {name: value for name, value in msgspec.to_builtins(drawn).items() if name != "failureCode"}
    assert msgspec.to_builtins(of_charge(**told)) == told


def test_rates_take_nothing_from_what_was_asked_for() -> None:
    faults = Faults(rates=dict.fromkeys(RATED, 1.0))
    asked = of_charge("pm_lost_card", faults, webhooks=["out_of_order"], settleDelaySeconds=3, replySeconds=7)
    assert (asked.failure_code, asked.timing, asked.settle_delay_seconds) == ("lost_card", "out_of_order", 3)
    assert (asked.wrong_amount, asked.reply_seconds) == (False, 7)


def test_the_numbers_of_the_rates_are_for_requests_that_bring_none() -> None:
    faults = Faults(rates={"webhook_duplicated": 1}, copies=9, reply_seconds=0.5)
    assert (of_charge(faults=faults).copies, of_charge(faults=faults).reply_seconds) == (9, 0.5)
    assert of_charge(faults=faults, wrongAmount=True).copies == 3
