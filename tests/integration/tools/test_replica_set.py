"""Three mongods keep what a majority has acknowledged, whichever of them goes."""

from collections.abc import Iterator
from typing import Any

import pytest
from pymongo import MongoClient

from tools.replica_set import ReplicaSet, temporary_replica_set


@pytest.fixture(scope="module")
def replica_set() -> Iterator[ReplicaSet]:
    with temporary_replica_set() as replica_set:
        yield replica_set


@pytest.fixture
def client(replica_set: ReplicaSet) -> Iterator[MongoClient[dict[str, Any]]]:
    # Looks around often, so that it does not wait long for one that is paused.
    often: dict[str, Any] = {"heartbeatFrequencyMS": 500, "connectTimeoutMS": 1000}
    with MongoClient[dict[str, Any]](replica_set.uri, w="majority", timeoutMS=60_000, **often) as client:
        yield client


@pytest.mark.parametrize("end", ["step_down", "pause", "kill"])
def test_another_member_takes_over_with_all_that_was_acknowledged(
    replica_set: ReplicaSet, client: MongoClient[dict[str, Any]], end: str
) -> None:
    replica_set.wait_until_whole()
    kept = client["kept"][end]
    kept.insert_one({"_id": "before"})
    first = replica_set.wait_for_primary()
    if end == "step_down":
        replica_set.step_down()
    else:
        getattr(first, end)()
    try:
        assert replica_set.wait_for_primary() is not first
        kept.insert_one({"_id": "after"})
        assert [document["_id"] for document in kept.find(sort=[("_id", 1)])] == ["after", "before"]
    finally:
        first.resume()
        if not first.runs:
            first.launch()


def test_a_member_tells_what_it_is_past_all_others(replica_set: ReplicaSet) -> None:
    replica_set.wait_until_whole()
    assert [member.run({"hello": 1})["me"] for member in replica_set.members] == [
        m.address for m in replica_set.members
    ]
