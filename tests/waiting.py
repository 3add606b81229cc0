"""Waits for something to come true, with a deadline, and never for a fixed time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from shared.leases import LeasedWork

DEADLINE_SECONDS = 60.0


async def until(condition: Callable[[], Awaitable[bool]], what: str, *, seconds: float = DEADLINE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.02)


async def until_it_has_a_slot(work: LeasedWork[Any]) -> None:
    """Returns when `work` runs, and has a free slot for what is stored now."""

    async def has_a_slot() -> bool:
        if may := work.reserve():
            work.give_back()
        return may

    await until(has_a_slot, "a slot")
