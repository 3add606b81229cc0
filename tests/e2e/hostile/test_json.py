"""What a JSON body may be: one value by RFC 8259, in UTF-8, with no key twice, of a size and depth that cost nothing."""

import pytest

from tests.e2e.hostile.target import Target
from tests.hostile.bodies import CASES
from tests.hostile.requests import Case, end_to_end, name_of

SOME = end_to_end(
    CASES,
    "nothing",
    "an object cut off in a string",
    "UTF-16",
    "a byte that is not UTF-8",
    "a lone surrogate escaped in a value",
    "NaN",
    "60,000 digits",
    "a key twice, once escaped",
    "7,000 keys",
    "30,000 arrays",
    "null",
)


@pytest.mark.parametrize("case", SOME, ids=name_of)
async def test_a_body_is_one_json_value_that_is_wanted(target: Target, case: Case) -> None:
    await target.expect(case, target.post(case.sent))
