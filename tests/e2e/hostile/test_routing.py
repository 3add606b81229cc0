"""Addresses and methods. What is not there is 404, what is there by another method 405 with Allow; nothing is guessed."""

import pytest

from tests.e2e.hostile.raw import exchange
from tests.e2e.hostile.target import Target
from tests.hostile.answers import Answer
from tests.hostile.requests import Case, end_to_end, name_of
from tests.hostile.routing import IDS, METHODS, PATHS, QUERIES, own

SOME_PATHS = end_to_end(
    PATHS, "nowhere", "dots that climb, encoded", "4,000 segments", "bytes that are not ASCII", "NUL itself"
)
SOME_QUERIES = end_to_end(
    QUERIES,
    "a limit of 0",
    "a parameter that nobody knows",
    "an empty state",
    "a limit that is not UTF-8",
    "two limits",
    "2,000 parameters",
    "a cursor that is not Base64",
)


@pytest.mark.parametrize("case", [*IDS, *SOME_PATHS], ids=name_of)
async def test_an_address_is_there_or_it_is_not(target: Target, case: Case) -> None:
    await target.expect(case, target.get(own(target, case.sent)))


@pytest.mark.parametrize("case", SOME_QUERIES, ids=name_of)
async def test_a_query_is_understood_or_refused(target: Target, case: Case) -> None:
    await target.expect(case, target.get(f"{target.collection}?{case.sent}"))


@pytest.mark.parametrize(("name", "value"), [("orderNumber", "%00"), ("orderNumber", "%ff"), ("review", "$where")])
async def test_a_filter_that_nothing_matches_finds_nothing(order_api: Target, name: str, value: str) -> None:
    await exchange(order_api.port, order_api.post())
    answer = await exchange(order_api.port, order_api.get(f"/api/orders?{name}={value}"))
    assert (answer.status, answer.json["data"]) == (200, [])


@pytest.mark.parametrize(("method", "paths", "allow"), METHODS[:6], ids=[f"{one[0]} {one[1]}" for one in METHODS[:6]])
async def test_another_method_is_refused_and_told_which_are_not(
    target: Target, method: str, paths: str, allow: str
) -> None:
    answer = await exchange(target.port, target.request(method, own(target, paths)))
    assert answer.status == 405
    assert method == "HEAD" or answer.problem == "method-not-allowed"
    assert sorted(answer.headers["allow"].split(", ")) == allow.split(", ")
    await target.assert_serving()


@pytest.mark.parametrize("path", ["<list>", "<list>?limit=1", "<list>?limit=0", "<list>/x", "/nowhere", "/health/live"])
async def test_head_gets_what_get_would_but_no_body(target: Target, path: str) -> None:
    headers = {"X-Request-Id": [b"the-same"]}
    got = await exchange(target.port, target.get(own(target, path), headers))
    head = await exchange(target.port, target.request("HEAD", own(target, path), {**headers, "Connection": [b"close"]}))
    assert head.body == b""
    assert (head.status, _lasting(head)) == (got.status, _lasting(got))
    assert int(head.headers["content-length"]) == len(got.body)


def _lasting(answer: Answer) -> dict[str, str]:
    passing = {"connection", "date"}
    return {name: value for name, value in answer.headers.items() if name not in passing}


async def test_options_tells_anybody_the_methods(target: Target) -> None:
    answer = await exchange(target.port, target.request("OPTIONS", target.collection, {"Authorization": []}))
    assert (answer.status, answer.body) == (204, b"")
    assert sorted(answer.headers["allow"].split(", ")) == ["GET", "HEAD", "OPTIONS", "POST"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("key", [[], [b"Bearer wrong"]], ids=["without a key", "with a wrong key"])
async def test_the_root_shows_a_browser_the_console_whatever_key_it_has(
    target: Target, method: str, key: list[bytes]
) -> None:
    accept = [b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"]
    headers = {"Accept": accept, "Authorization": key, "Connection": [b"close"]}
    answer = await exchange(target.port, target.request(method, "/", headers))
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.body.startswith(b"<!doctype html>") is (method == "GET")
    assert answer.headers["vary"] == "Accept"


async def test_a_cache_learns_why_another_client_finds_nothing_at_the_root(target: Target) -> None:
    answer = await exchange(target.port, target.get("/", {"Accept": [b"application/json"]}))
    assert (answer.status, answer.problem, answer.headers["vary"]) == (404, "not-found", "Accept")


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 27\r\n\r\n" + b'{"filter": {"$ne": "all"}}\n',
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ],
    ids=["of a known length", "in chunks"],
)
async def test_a_body_on_a_get_means_nothing(target: Target, framing: bytes) -> None:
    head = target.get(f"{target.collection}?limit=1").removesuffix(b"\r\n")
    await target.expect(Case("body", None, 200), head + framing)


async def test_a_method_in_a_header_or_in_the_query_counts_for_nothing(target: Target) -> None:
    headers = {"X-HTTP-Method-Override": [b"DELETE"], "X-HTTP-Method": [b"DELETE"]}
    await target.expect(Case("override", None, 200), target.get(target.collection, headers))
    await target.expect(
        Case("in the query", None, 422, "invalid-fields"), target.get(f"{target.collection}?_method=DELETE")
    )
