"""Load at a constant rate, whether or not the request before has been answered."""

import asyncio
import time
from collections.abc import Sequence
from uuid import uuid4

import aiohttp

from tools.bench.load import LoadError


def place_at_pace(url: str, *, per_second: float, seconds: int) -> Sequence[float]:
    """Returns for each order the seconds from the moment when it was to be placed to its answer. So a stall counts for all
    orders that it holds up. Raises LoadError.
    """
    return asyncio.run(_place(url, per_second, seconds))


async def _place(url: str, per_second: float, seconds: int) -> list[float]:
    run = uuid4().hex[:8]
    async with aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0)) as session:
        began = time.perf_counter()

        async def place(number: int) -> float:
            intended = began + number / per_second
            await asyncio.sleep(intended - time.perf_counter())
            order = {"orderNumber": f"{run}-{number}", "amount": 99.99, "currency": "USD", "metadata": {"basket": "7"}}
            async with session.post("/api/orders", json=order, headers={"Idempotency-Key": uuid4().hex}) as answer:
                await answer.read()
            if answer.status != 201:
                raise LoadError(f"{answer.status} for an order")
            return time.perf_counter() - intended

        return await asyncio.gather(*(place(number) for number in range(round(per_second * seconds))))
