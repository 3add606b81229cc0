"""Addresses, queries and methods, tried on the application alone."""

import pytest

from tests.hostile.requests import Case, name_of, refused
from tests.hostile.routing import METHODS, NO_METHODS, NOT_FOUND, PATHS, QUERIES, own
from tests.unit.hostile.in_process import InProcess


@pytest.mark.parametrize("case", refused(PATHS), ids=name_of)
async def test_an_address_is_there_or_it_is_not(target: InProcess, case: Case) -> None:
    await target.expect(case, target.get(own(target, case.sent)))


@pytest.mark.parametrize("case", refused(QUERIES), ids=name_of)
async def test_a_query_is_understood_or_refused(target: InProcess, case: Case) -> None:
    await target.expect(case, target.get(f"{target.collection}?{case.sent}"))


@pytest.mark.parametrize(("method", "paths", "allow"), METHODS, ids=[f"{one[0]} {one[1]}" for one in METHODS])
async def test_another_method_is_refused_and_told_which_are_not(
    target: InProcess, method: str, paths: str, allow: str
) -> None:
    answer = await target.exchange(target.request(method, own(target, paths)))
    assert answer.status == 405
    assert method == "HEAD" or answer.problem == "method-not-allowed"
    assert sorted(answer.headers["allow"].split(", ")) == allow.split(", ")
    await target.assert_serving()


@pytest.mark.parametrize("method", NO_METHODS)
async def test_what_is_no_method_that_http_has_is_refused(target: InProcess, method: str) -> None:
    await target.expect(Case(method, None, 400), target.request(method, target.collection))


@pytest.mark.parametrize("key", [[], [b"Bearer wrong"]], ids=["without a key", "with a wrong key"])
async def test_options_tells_anybody_the_methods(target: InProcess, key: list[bytes]) -> None:
    answer = await target.exchange(target.request("OPTIONS", target.collection, {"Authorization": key}))
    assert (answer.status, answer.body) == (204, b"")
    assert sorted(answer.headers["allow"].split(", ")) == ["GET", "HEAD", "OPTIONS", "POST"]


async def test_options_of_the_server_as_a_whole(target: InProcess) -> None:
    """RFC 9110 §9.3.7"""
    await target.expect(Case("*", None, 204), target.request("OPTIONS", "*"))


async def test_options_of_nothing(target: InProcess) -> None:
    await target.expect(Case("nowhere", None, *NOT_FOUND), target.request("OPTIONS", "/nowhere"))
