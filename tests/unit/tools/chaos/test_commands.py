"""What the refunds that a person decides on are called: asking twice is asking once."""

import pytest

from shared.ids import derive_id
from shared.mongo import Document
from tests.unit.tools.chaos.run_by_hand import START
from tools.chaos.invariants.commands import decided_ids


@pytest.mark.parametrize(
    ("code", "event_id"),
    [("second-charge", "ord_" + "1" * 32), ("refund-failed", "rf_" + "a" * 32)],
    ids=["second charge", "failed refund"],
)
def test_a_decided_refund_is_named_by_what_the_review_is_about(code: str, event_id: str) -> None:
    review = {"code": code, "event_id": event_id, "decision": "refund", "resolved_at": START}
    accepted = {**review, "event_id": "another", "decision": "accept"}
    order: Document = {"reviews": [review, accepted]}
    assert decided_ids(order) == {derive_id("rf", event_id, "review", code)}
