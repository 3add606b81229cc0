"""Leased work where more than one asks it to work."""

import asyncio
from collections.abc import Sequence

from shared.leases import LeasedWork


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
