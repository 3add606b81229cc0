"""Leased work where more than one asks it to work."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from shared import times
from shared.leases import LeasedWork, claim
from shared.mongo import Client


async def test_two_rounds_at_once_do_not_fill_a_slot_twice() -> None:
    at_work, most, left = 0, 0, 8

    async def claim(limit: int) -> Sequence[int]:
        nonlocal left
        await asyncio.sleep(0.01)
        claimed = min(limit, left)
        left -= claimed
        return range(claimed)

    async def attempt(_piece: int) -> None:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await asyncio.sleep(0.05)
        at_work -= 1

    work = LeasedWork[int](claim, attempt, name="rounds", slots=2)
    rounds = await asyncio.gather(*(work.run_once() for _ in range(3)))
    assert (sum(rounds), most) == (2, 2)


@pytest.mark.parametrize("fast_by", [timedelta(hours=1), timedelta(hours=-1)], ids=["fast", "slow"])
async def test_c11_leases_are_judged_by_the_servers_clock_and_not_by_ours(
    mongo: Client, database_name: str, monkeypatch: pytest.MonkeyPatch, fast_by: timedelta
) -> None:
    work = mongo[database_name]["work"]
    right = times.utc_now
    now = right()
    for name in ("shared.times.utc_now", "shared.leases.utc_now"):
        monkeypatch.setattr(name, lambda: right() + fast_by, raising=False)
    lapsed, held = now - timedelta(minutes=5), now + timedelta(minutes=5)
    await work.insert_many(
        [
            {"_id": "held", "due": lapsed, "lease_until": held, "fence": 1},
            {"_id": "lapsed", "due": lapsed, "lease_until": lapsed, "fence": 1},
            {"_id": "not due", "due": held, "lease_until": None, "fence": 1},
        ]
    )
    _, claimed = await claim(work, due={}, due_at="due", limit=3, lease_seconds=60)
    assert [one["_id"] for one in claimed] == ["lapsed"]
    assert abs(claimed[0]["lease_until"] - now - timedelta(seconds=60)) < timedelta(minutes=1)
