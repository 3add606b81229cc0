"""What a person is told about a message: whether money may have moved, and what a redrive would do."""

from typing import Any

import msgspec
import pytest

from order_api.explanation import explain
from order_api.outbox import Dead, Message, Refused, charge_message, decide, refund_message
from tests.unit.order_api.examples import NOW, a_charge, a_refund, an_order

CHARGE = charge_message(an_order())
REFUND = refund_message(an_order(a_charge("succeeded")), a_refund("requested"), now=NOW)
GIVEN_UP = {"state": "dead", "attempts": 24, "last_error": "gave up after 24 attempts: HTTP 500"}
REFUSED = {"state": "dead", "attempts": 1, "last_error": "refused with 422 invalid-fields"}


@pytest.mark.parametrize(
    ("message", "changes", "says"),
    [
        (CHARGE, {}, "no money has moved"),
        (CHARGE, {"attempts": 2}, "money may have moved"),
        (CHARGE, {"redrives": 1}, "The provider is asked first"),
        (CHARGE, {"state": "leased"}, "being sent"),
        (CHARGE, {"state": "done"}, "Nothing is sent any more"),
        (CHARGE, {"state": "void"}, "the order was cancelled"),
        (CHARGE, GIVEN_UP, "the customer may have been charged"),
        (CHARGE, REFUSED, "nothing was charged"),
        (REFUND, GIVEN_UP, "its amount stays reserved"),
        (REFUND, REFUSED, "cannot be redriven"),
    ],
)
def test_each_state_is_explained(message: Message, changes: dict[str, Any], says: str) -> None:
    assert says in explain(msgspec.structs.replace(message, **changes))


def test_c15_a_refusal_is_told_from_giving_up_by_what_the_decision_says() -> None:
    decision = decide(CHARGE, Refused(422, "invalid-fields"))
    assert isinstance(decision, Dead)
    assert "nothing was charged" in explain(msgspec.structs.replace(CHARGE, state="dead", last_error=decision.reason))
