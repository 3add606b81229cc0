"""`Authorization`, tried on the application alone: who has no key is refused before anything is looked up."""

import pytest

from tests.hostile.access import CASES, REFUSED, with_authorization
from tests.hostile.requests import Case, name_of, refused
from tests.unit.hostile.in_process import InProcess


@pytest.mark.parametrize("case", refused(CASES), ids=name_of)
async def test_one_key_opens(target: InProcess, case: Case) -> None:
    answer = await target.expect(case, with_authorization(target, case))
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("body", [b"", b"garbage", b"[" * 30_000, b"{}"], ids=["nothing", "garbage", "depth", "JSON"])
async def test_nobody_without_a_key_learns_what_is_wrong_with_a_body(target: InProcess, body: bytes) -> None:
    headers = {"Authorization": [], "Content-Type": [b"text/plain"], "Idempotency-Key": []}
    await target.expect(Case("", None, *REFUSED), target.post(body, headers))


@pytest.mark.parametrize("query", ["limit=0", "limit=1&limit=2", "status=gone", "cursor=%00"])
async def test_nor_what_is_wrong_with_a_query(target: InProcess, query: str) -> None:
    await target.expect(Case("", None, *REFUSED), target.get(f"{target.collection}?{query}", {"Authorization": []}))
