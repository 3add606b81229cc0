"""`X-Signature`: each part of it missing, wrong or doubled. Every refusal has one body, which tells a forger nothing.

Only order_api takes webhooks.
"""

import pytest

from tests.e2e.hostile.target import Target
from tests.hostile.requests import Case, end_to_end, name_of
from tests.hostile.signatures import HEADERS, SIGNED, UNIFORM, made, signed

SOME_HEADERS = end_to_end(
    HEADERS,
    "no header",
    "two headers",
    "two timestamps, one of them old",
    "a signature with one digit changed",
    "a signature that is not ASCII",
    "10,000 commas",
)
SOME_SIGNED = end_to_end(SIGNED, "with one that was retired", "301 seconds ago", "310 seconds from now")


@pytest.mark.parametrize("case", SOME_HEADERS, ids=name_of)
async def test_a_signature_is_both_parts_once(order_api: Target, case: Case) -> None:
    answer = await order_api.expect(case, made(case.sent, order_api))
    if case.status == 401:
        assert set(answer.json) == {"type", "title", "status", "detail", "instance"}
        assert answer.json["detail"] == UNIFORM


@pytest.mark.parametrize("case", SOME_SIGNED, ids=name_of)
async def test_a_signature_counts_for_five_minutes_and_for_listed_secrets(order_api: Target, case: Case) -> None:
    await order_api.expect(case, signed(case, order_api))
