import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment_gateway.faults.payment_method import OUTCOMES, PAYMENT_METHOD_PATTERN, STEPS, ScenarioError, chain_of
from payment_gateway.faults.rates import REPLY_FAULTS


@pytest.mark.parametrize("code", ["card_declined", "insufficient_funds", "expired_card", "incorrect_cvc", "lost_card"])
def test_a_decline_is_called_by_its_code(code: str) -> None:
    assert OUTCOMES[f"pm_{code}"].failure_code == code


def test_every_reply_fault_has_a_token() -> None:
    assert sorted(STEPS.values()) == sorted(REPLY_FAULTS)


def test_a_chain_is_steps_and_an_outcome() -> None:
    assert chain_of("pm_500|pm_lost|pm_lost_card") == (["server_error", "lost"], OUTCOMES["pm_lost_card"])


def test_steps_alone_have_no_outcome() -> None:
    assert chain_of("pm_500") == (["server_error"], None)


NAMES = st.sampled_from([*STEPS, *OUTCOMES, "", "pm_nothing", "PM_500", "pm_500 ", "pm_500\n"])


@given(st.lists(NAMES, max_size=12))
def test_the_pattern_in_the_documentation_is_what_is_accepted(names: list[str]) -> None:
    payment_method = "|".join(names)
    try:
        chain_of(payment_method)
    except ScenarioError:
        accepted = False
    else:
        accepted = True
    assert accepted == bool(re.search(PAYMENT_METHOD_PATTERN, payment_method))
