"""Waits for something to come true, with a deadline, and never for a fixed time."""

import asyncio
import time
from collections.abc import Awaitable, Callable

DEADLINE_SECONDS = 60.0


async def until(condition: Callable[[], Awaitable[bool]], what: str, *, seconds: float = DEADLINE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.02)
