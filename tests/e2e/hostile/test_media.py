"""What a body may say it is: JSON in UTF-8, not encoded. Nothing is guessed, and nobody is answered 406."""

import pytest

from tests.e2e.hostile.target import Target
from tests.hostile.media import CODINGS, PREFERENCES, TYPES
from tests.hostile.requests import Case, end_to_end, name_of

SOME_TYPES = end_to_end(TYPES, "no media type", "text", "two headers", "another charset", "an unclosed quote")
SOME_CODINGS = end_to_end(CODINGS, "gzip", "two headers")


@pytest.mark.parametrize("case", SOME_TYPES, ids=name_of)
async def test_a_body_is_taken_as_json_in_utf_8_only(target: Target, case: Case) -> None:
    await target.expect(case, target.post(headers={"Content-Type": case.sent}))


@pytest.mark.parametrize("case", SOME_CODINGS, ids=name_of)
async def test_a_body_is_taken_without_a_coding_only(target: Target, case: Case) -> None:
    await target.expect(case, target.post(headers={"Content-Encoding": case.sent}))


@pytest.mark.parametrize("case", PREFERENCES, ids=name_of)
async def test_a_request_is_answered_in_json_whatever_would_be_preferred(target: Target, case: Case) -> None:
    answer = await target.expect(case, target.post(headers=case.sent))
    assert answer.headers["content-type"] == "application/json"
