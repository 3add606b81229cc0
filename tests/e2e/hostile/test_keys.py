"""`Idempotency-Key`, by draft-ietf-httpapi-idempotency-key-header and RFC 8941 §3.3.3, or bare as Stripe takes it."""

from uuid import uuid4

import pytest

from tests.e2e.hostile.raw import exchange
from tests.e2e.hostile.target import Target
from tests.hostile.keys import CASES
from tests.hostile.requests import Case, end_to_end, name_of

SOME = end_to_end(
    CASES, "no key", "256 characters", "30,000 characters", "two keys", "a list of quoted keys", "Latin-1", "NUL"
)


@pytest.mark.parametrize("case", SOME, ids=name_of)
async def test_one_key_in_a_form_that_is_its_own(target: Target, case: Case) -> None:
    await target.expect(case, target.post(headers={"Idempotency-Key": case.sent}))


@pytest.mark.parametrize("name", ["IDEMPOTENCY-KEY", "idempotency-key", "iDeMpOtEnCy-KeY"])
async def test_the_name_of_the_header_has_no_case(target: Target, name: str) -> None:
    headers = {"Idempotency-Key": [], name: [uuid4().hex.encode()]}
    await target.expect(Case(name, None, 201), target.post(headers=headers))


@pytest.mark.parametrize(
    ("first", "second"),
    [(b"%s", b'"%s"'), (b'"%s"', b"%s"), (b'"a,b;%s"', b'"a,b;%s"')],
    ids=["bare, then quoted", "quoted, then bare", "one that only quotes can hold"],
)
async def test_quoted_and_bare_forms_are_one_key(target: Target, first: bytes, second: bytes) -> None:
    body, key = target.body(), uuid4().hex.encode()
    created = await exchange(target.port, target.post(body, {"Idempotency-Key": [first % key]}))
    replayed = await exchange(target.port, target.post(body, {"Idempotency-Key": [second % key]}))
    assert (created.status, replayed.status, replayed.body) == (201, 201, created.body)
    assert "idempotent-replayed" not in created.headers
    assert replayed.headers["idempotent-replayed"] == "true"
