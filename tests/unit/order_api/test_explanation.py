"""What a person is told about a call: whether money may have moved, and what a redrive would do."""

from typing import Any

import msgspec
import pytest

from order_api.calls import Call, Dead, Refused, decide
from order_api.explanation import explain
from order_api.outbox import charge_call, refund_call
from tests.unit.order_api.examples import NOW, a_refund, an_order

CHARGE = charge_call(an_order())
REFUND = refund_call(a_refund("requested"), now=NOW)
GIVEN_UP = {"state": "dead", "attempts": 24, "last_error": "gave up after 24 attempts: HTTP 500"}
REFUSED = {"state": "dead", "attempts": 1, "refused_code": "invalid-fields"}


@pytest.mark.parametrize(
    ("call", "changes", "says"),
    [
        (CHARGE, {}, "no money has moved"),
        (CHARGE, {"attempts": 2}, "money may have moved"),
        (CHARGE, {"redrives": 1}, "The provider is asked first"),
        (CHARGE, {"claim": "token"}, "being sent"),
        (CHARGE, {"state": "done"}, "Nothing is sent any more"),
        (CHARGE, {"state": "void"}, "the order was cancelled"),
        (CHARGE, GIVEN_UP, "the customer may have been charged"),
        (CHARGE, REFUSED, "nothing was charged"),
        (REFUND, GIVEN_UP, "its amount stays reserved"),
        (REFUND, REFUSED, "cannot be redriven"),
    ],
)
def test_each_state_is_explained(call: Call, changes: dict[str, Any], says: str) -> None:
    assert says in explain(msgspec.structs.replace(call, **changes))


def test_c15_a_refusal_is_told_from_giving_up_by_what_the_decision_says() -> None:
    decision = decide(CHARGE, Refused(422, "invalid-fields"))
    assert isinstance(decision, Dead)
    dead = msgspec.structs.replace(CHARGE, state="dead", refused_code=decision.refused_code)
    assert "nothing was charged" in explain(dead)
