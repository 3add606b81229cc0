"""What the refunds that a person decides on are called: asking twice is asking once."""

import pytest

from shared.ids import derive_id
from shared.mongo import Document
from tests.unit.tools.chaos.examples import START
from tools.chaos.invariants.commands import decided_ids

FAILED = "rf_" + "a" * 32


@pytest.mark.parametrize(
    ("code", "event_id", "names"),
    [
        ("second-charge", "ch_1", ("second-charge", "ch_1")),
        ("refund-failed", FAILED, (FAILED,)),
        ("dead-letter", "obx_" + "a" * 32 + "~1", (FAILED,)),
        ("dead-letter", "obx_" + "b" * 32, ("dead-letter", "obx_" + "b" * 32)),
    ],
    ids=["second charge", "failed refund", "dead letter of a refund", "dead letter of a charge"],
)
def test_a_decided_refund_is_named_by_what_the_review_is_about(
    code: str, event_id: str, names: tuple[str, ...]
) -> None:
    review = {"code": code, "event_id": event_id, "decision": "refund", "resolved_at": START}
    order: Document = {"reviews": [review], "refunds": [{"id": FAILED}]}
    assert decided_ids(order, "ch_1") == {derive_id("rf", "ch_1", "review", *names)}
