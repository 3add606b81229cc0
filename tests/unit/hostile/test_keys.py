"""`Idempotency-Key`, tried on the application alone: a request whose key is refused stores nothing under any key."""

import pytest

from tests.hostile.keys import CASES, MISSING
from tests.hostile.requests import Case, name_of, refused
from tests.unit.hostile.in_process import InProcess


@pytest.mark.parametrize("case", refused(CASES), ids=name_of)
async def test_one_key_in_a_form_that_is_its_own(target: InProcess, case: Case) -> None:
    await target.expect(case, target.post(headers={"Idempotency-Key": case.sent}))


async def test_a_header_with_an_underscore_is_another_header(target: InProcess) -> None:
    headers = {"Idempotency-Key": [], "Idempotency_Key": [b"one"]}
    await target.expect(Case("underscore", None, *MISSING), target.post(headers=headers))
