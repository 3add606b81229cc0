"""`Authorization`: one header, one scheme, one key; otherwise 401, before anything else of the request is looked at."""

import re

import pytest

from tests.e2e.hostile.raw import exchange
from tests.e2e.hostile.target import API_KEY, Case, Target

KEY = API_KEY.encode()
REFUSED = (401, "unauthenticated")

# What is sent is the header's values.
CASES = [
    Case("a key", [b"Bearer " + KEY], 200),
    Case("the scheme in small letters", [b"bearer " + KEY], 200),  # RFC 9110 §11.1: schemes have no case
    Case("no header", [], *REFUSED),
    Case("an empty header", [b""], *REFUSED),
    Case("a scheme without a key", [b"Bearer"], *REFUSED),
    Case("a scheme and a space", [b"Bearer "], *REFUSED),
    Case("a key without a scheme", [KEY], *REFUSED),
    Case("another scheme", [b"Basic " + KEY], *REFUSED),
    Case("a scheme that starts like the right one", [b"BearerX " + KEY], *REFUSED),
    Case("a key in another case", [b"Bearer " + KEY.upper()], *REFUSED),
    Case("a key cut short", [b"Bearer " + KEY[:-1]], *REFUSED),
    Case("a key and more", [b"Bearer " + KEY + b" x"], *REFUSED),
    Case("a key in quotes", [b'Bearer "%s"' % KEY], *REFUSED),
    Case("two keys in one header", [b"Bearer %s, Bearer %s" % (KEY, KEY)], *REFUSED),
    Case("two headers", [b"Bearer " + KEY, b"Bearer " + KEY], *REFUSED),
    Case("a wrong header before the right one", [b"Bearer x", b"Bearer " + KEY], *REFUSED),
    Case("a wrong header after the right one", [b"Bearer " + KEY, b"Bearer x"], *REFUSED),
    Case("bytes that are not ASCII", ["Bearer schlüssel".encode()], *REFUSED),
    Case("bytes that are not UTF-8", [b"Bearer \xff\xfe"], *REFUSED),
    Case("an operator", [b'Bearer {"$ne": null}'], *REFUSED),
    Case("20,000 characters", [b"Bearer " + b"k" * 20_000], *REFUSED),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_one_key_opens(target: Target, case: Case) -> None:
    answer = await target.expect(case, target.get(f"{target.collection}?limit=1", {"Authorization": case.sent}))
    if case.status == 401:
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("body", [b"", b"garbage", b"[" * 30_000, b"{}"], ids=["nothing", "garbage", "depth", "JSON"])
async def test_nobody_without_a_key_learns_what_is_wrong_with_a_body(target: Target, body: bytes) -> None:
    headers = {"Authorization": [], "Content-Type": [b"text/plain"], "Idempotency-Key": []}
    await target.expect(Case("", None, *REFUSED), target.post(body, headers))


@pytest.mark.parametrize("query", ["limit=0", "limit=1&limit=2", "status=gone", "cursor=%00"])
async def test_nor_what_is_wrong_with_a_query(target: Target, query: str) -> None:
    await target.expect(Case("", None, *REFUSED), target.get(f"{target.collection}?{query}", {"Authorization": []}))


async def test_no_operation_but_the_public_ones_answers_without_a_key(target: Target) -> None:
    """Whatever the document lists, so also what will be added to it."""
    document = (await exchange(target.port, target.get("/schema/openapi.json", {"Authorization": []}))).json
    asked = 0
    for path, item in document["paths"].items():
        for method in item:
            if item[method].get("security") != []:
                to = re.sub(r"{\w+}", "x", path)
                sent = target.request(method.upper(), to, {"Authorization": [], "Content-Length": [b"0"]})
                answer = await exchange(target.port, sent)
                assert (answer.status, answer.problem) == REFUSED, (method, path)
                asked += 1
    assert asked >= 4
