"""`Idempotency-Key`, by draft-ietf-httpapi-idempotency-key-header and RFC 8941 §3.3.3, or bare as Stripe takes it."""

from uuid import uuid4

import pytest

from tests.e2e.hostile.raw import exchange
from tests.e2e.hostile.target import Case, Target

MISSING = (400, "idempotency-key-missing")
MALFORMED = (400, "idempotency-key-malformed")

# What is sent is the header's values: none, one, or several headers.
CASES = [
    Case("no key", [], *MISSING),
    Case("an empty key", [b""], *MALFORMED),
    Case("a key of spaces", [b"   "], *MALFORMED),
    Case("an empty quoted key", [b'""'], *MALFORMED),
    Case("255 characters", [b"k" * 255], 201),
    Case("255 characters in quotes", [b'"%s"' % (b"q" * 255)], 201),
    Case("255 escaped quotes", [b'"%s"' % (b'\\"' * 255)], 201),
    Case("256 characters", [b"k" * 256], *MALFORMED),
    Case("256 characters in quotes", [b'"%s"' % (b"k" * 256)], *MALFORMED),
    Case("256 escaped quotes", [b'"%s"' % (b'\\"' * 256)], *MALFORMED),
    Case("30,000 characters", [b"k" * 30_000], *MALFORMED),
    Case("two keys", [b"one", b"two"], *MALFORMED),
    Case("one key in two headers", [b"same", b"same"], *MALFORMED),
    Case("a key and an empty header", [b"one", b""], *MALFORMED),
    Case("an unclosed quote", [b'"one'], *MALFORMED),
    Case("a quote at the end only", [b'one"'], *MALFORMED),
    Case("a quote in the middle", [b'"o"ne"'], *MALFORMED),
    Case("a lone quote", [b'"'], *MALFORMED),
    Case("a bare list", [b"one, two"], *MALFORMED),
    Case("a list of quoted keys", [b'"one", "two"'], *MALFORMED),
    Case("a quoted key with a parameter", [b'"one";a=b'], *MALFORMED),
    Case("a bare key with a parameter", [b"one;a=b"], *MALFORMED),
    Case("a space inside", [b"one two"], *MALFORMED),
    Case("a space inside quotes", [b'"one two"'], *MALFORMED),
    Case("a tab inside", [b"one\ttwo"], *MALFORMED),
    Case("a tab inside quotes", [b'"one\ttwo"'], *MALFORMED),
    Case("a bare backslash", [b"one\\two"], *MALFORMED),
    Case("an escape of neither quote nor backslash", [b'"one\\two"'], *MALFORMED),
    Case("a backslash that escapes the closing quote", [b'"one\\"'], *MALFORMED),
    Case("UTF-8", ["clé".encode()], *MALFORMED),
    Case("UTF-8 in quotes", ['"clé"'.encode()], *MALFORMED),
    Case("Latin-1", ["clé".encode("latin-1")], *MALFORMED),
    Case("a no-break space around it", [b"\xa0key-nbsp\xa0"], *MALFORMED),
    Case("spaces and tabs around it, which HTTP takes off", [b" \t %s \t " % uuid4().hex.encode()], 201),
    # Controls never get as far as the application: RFC 9110 §5.5.
    Case("NUL", [b"one\0two"], 400),
    Case("a control character", [b"one\x01two"], 400),
    Case("DEL", [b"one\x7ftwo"], 400),
    Case("a lone carriage return", [b"one\rtwo"], 400),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_one_key_in_a_form_that_is_its_own(target: Target, case: Case) -> None:
    await target.expect(case, target.post(headers={"Idempotency-Key": case.sent}))


@pytest.mark.parametrize("name", ["IDEMPOTENCY-KEY", "idempotency-key", "iDeMpOtEnCy-KeY"])
async def test_the_name_of_the_header_has_no_case(target: Target, name: str) -> None:
    headers = {"Idempotency-Key": [], name: [uuid4().hex.encode()]}
    await target.expect(Case(name, None, 201), target.post(headers=headers))


async def test_a_header_with_an_underscore_is_another_header(target: Target) -> None:
    headers = {"Idempotency-Key": [], "Idempotency_Key": [b"one"]}
    await target.expect(Case("underscore", None, *MISSING), target.post(headers=headers))


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
