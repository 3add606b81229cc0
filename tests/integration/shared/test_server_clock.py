"""The server's clock: known from what it said lately, and not known otherwise."""

import time
from datetime import timedelta
from typing import Any

import pytest

from shared import server_clock
from shared.mongo import Client
from shared.server_clock import ServerClock
from shared.times import stored


async def test_its_time_is_that_of_the_server_once_it_was_read(mongo: Client) -> None:
    clock = ServerClock(mongo)
    assert clock.now() is None
    await clock.look()
    now = clock.now()
    [told] = await (await mongo.admin.aggregate([{"$documents": [{"now": "$$NOW"}]}])).to_list()
    assert now is not None
    assert now == stored(now)
    assert abs(told["now"].replace(tzinfo=now.tzinfo) - now) < timedelta(seconds=2)


async def test_it_is_read_again_only_after_a_while(mongo: Client, monkeypatch: pytest.MonkeyPatch) -> None:
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
    with monkeypatch.context() as later:
        in_a_minute: Any = time.monotonic() + server_clock.KNOWN_SECONDS + 1
        later.setattr(time, "monotonic", lambda: in_a_minute)
        assert clock.now() is None
    late = ServerClock(mongo)
    monkeypatch.setattr(server_clock, "ON_THE_WAY_SECONDS_MAX", 0.0)
    await late.look()
    assert late.now() is None
