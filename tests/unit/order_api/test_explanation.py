"""What a person is told about a call: whether money may have moved, and what a redrive would do."""

from typing import Any

import msgspec
import pytest

from order_api.calls import Call, Refused, Try, settled
from order_api.explanation import explain
from order_api.outbox import refund_call
from tests.unit.order_api.examples import NOW, a_refund, an_order, its_charge_call

CHARGE = its_charge_call(an_order())
REFUND = refund_call(a_refund("requested"), now=NOW)
GIVEN_UP = {"state": "dead", "attempts": 24, "last_error": "gave up after 24 attempts: HTTP 500"}
REFUSED = {"state": "done", "attempts": 1, "refused_code": "invalid-fields"}


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
        (REFUND, {"state": "done", "refused_code": "disputed"}, "It was never sent"),
        (REFUND, {"state": "done", "refused_code": "not-owed"}, "has gone back already"),
        (REFUND, REFUSED, "what it had reserved is free again"),
    ],
)
def test_each_state_is_explained(call: Call, changes: dict[str, Any], says: str) -> None:
    assert says in explain(msgspec.structs.replace(call, **changes))


def test_c15_a_refusal_is_told_from_an_answer_by_what_the_provider_said() -> None:
    tried = Try(at=NOW, ms=1, outcome="refused")
    assert "nothing was charged" in explain(settled(CHARGE, Refused(422, "invalid-fields"), tried, now=NOW))
