"""`Authorization`: one header, one scheme, one key; otherwise 401, before anything else of the request is looked at."""

import re

import pytest

from tests.e2e.hostile.raw import exchange
from tests.e2e.hostile.target import Target
from tests.hostile.access import CASES, REFUSED, with_authorization
from tests.hostile.requests import Case, end_to_end, name_of

SOME = end_to_end(
    CASES,
    "no header",
    "another scheme",
    "a key cut short",
    "two headers",
    "a wrong header before the right one",
    "bytes that are not UTF-8",
    "20,000 characters",
)


@pytest.mark.parametrize("case", SOME, ids=name_of)
async def test_one_key_opens(target: Target, case: Case) -> None:
    answer = await target.expect(case, with_authorization(target, case))
    if case.status == 401:
        assert answer.headers["www-authenticate"] == "Bearer"


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
