"""The server's clock: known from what it said lately, and not known otherwise."""

import time
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared import server_clock
from shared.mongo import Client
from shared.server_clock import ServerClock
from shared.times import stored


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer is believed, however long it took."""
    monkeypatch.setattr(server_clock, "ON_THE_WAY_SECONDS_MAX", 3600.0)


async def server_time(mongo: Client) -> datetime:
    [told] = await (await mongo.admin.aggregate([{"$documents": [{"now": "$$NOW"}]}])).to_list()
    now: datetime = told["now"]
    return now


async def test_its_time_is_that_of_the_server_once_it_was_read(mongo: Client) -> None:
    clock = ServerClock(mongo)
    assert clock.now() is None
    before, asked_at = await server_time(mongo), time.monotonic()
    await clock.look()
    on_the_way = timedelta(seconds=time.monotonic() - asked_at)
    now, after = clock.now(), await server_time(mongo)
    assert now is not None
    assert now == stored(now)
    assert before <= now <= after + on_the_way + timedelta(milliseconds=10)


async def test_it_is_read_again_only_after_a_while(mongo: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_clock, "LOOK_SECONDS", 3600.0)
    clock = ServerClock(mongo)
    await clock.look()
    looked_at = clock._looked_at
    await clock.look()
    assert clock._looked_at == looked_at
    monkeypatch.setattr(server_clock, "LOOK_SECONDS", 0.0)
    await clock.look()
    assert clock._looked_at > looked_at


async def test_its_time_is_not_known_if_it_was_read_long_ago_or_came_late(
    mongo: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ServerClock(mongo)
    await clock.look()
    assert clock.now() is not None
    with monkeypatch.context() as later:
        in_a_minute: Any = time.monotonic() + server_clock.KNOWN_SECONDS + 1
        later.setattr(time, "monotonic", lambda: in_a_minute)
        assert clock.now() is None
    late = ServerClock(mongo)
    monkeypatch.setattr(server_clock, "ON_THE_WAY_SECONDS_MAX", 0.0)
    await late.look()
    assert late.now() is None


async def test_the_time_is_not_behind_by_the_fractions_that_mongodb_leaves_out(
    mongo: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ServerClock(mongo)
    await clock.look()
    read, looked_at = clock._read, clock._looked_at
    assert read is not None
    with monkeypatch.context() as later:
        later.setattr(time, "monotonic", lambda: looked_at + 0.0009)
        now = clock.now()
    assert now is not None
    assert now > read  # it may have been almost a millisecond more
