"""Places orders when all faults are over, because services that have survived must also be able to work again."""

import asyncio
from random import Random

import aiohttp
import msgspec

from tools.chaos.client import Client, open_http
from tools.chaos.history import History
from tools.chaos.orders import Wish, order_id_of
from tools.chaos.world import Merchant, World

AFTERWARDS = "afterwards"  # the name of their client


async def place_afterwards(world: World, history: History, *, seed: int) -> None:
    """Places one order of each merchant at each order_api."""
    async with open_http() as http:
        places = [(url, merchant) for url in world.order_apis for merchant in world.merchants]
        await asyncio.gather(
            *(_place(http, history, url, merchant, number, seed) for number, (url, merchant) in enumerate(places))
        )


async def _place(
    http: aiohttp.ClientSession, history: History, url: str, merchant: Merchant, number: int, seed: int
) -> None:
    draw = Random(f"{seed}/afterwards/{number}")
    client = Client(http, history, [url], name=AFTERWARDS, merchant=merchant.name, bearer=merchant.api_key, draw=draw)
    wish = Wish(f"AFTERWARDS-{number}", draw.randrange(100, 1_000_000), "USD", "pm_card_visa")
    operation = await client.post(
        "place", "/api/orders", wish.body(), key=f"afterwards-{number}", command=msgspec.to_builtins(wish)
    )
    operation.order_id = order_id_of(operation)
