"""The load: many orders, each with a life of its own, and for each merchant a clerk who looks after what went wrong.

All of it is drawn from the seed, order by order, so an order that takes longer changes nothing for the others.
"""

import asyncio
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random

import aiohttp

from tools.chaos.client import Client, open_http
from tools.chaos.history import History
from tools.chaos.lives import LIVES
from tools.chaos.orders import Life, seen
from tools.chaos.strangers import Strangers
from tools.chaos.world import World

AT_ONCE = 128  # orders that are being lived at one time
CLERK_PAUSE_SECONDS = 2.0
REDRIVES_MAX = 2  # of one message: a definite refusal stays one
DECISIONS = ("accept", "accept", "refund")


class Workload:
    """Lives `orders` lives, which begin within `seconds`. What happens goes to `history`, and to `history_file` if given."""

    def __init__(
        self, world: World, *, seed: int, orders: int, seconds: float, history_file: Path | None = None
    ) -> None:
        self._world = world
        self._seed = seed
        self._orders = orders
        self._seconds = seconds
        self._slots = asyncio.Semaphore(AT_ONCE)
        self.history = History(history_file)

    async def run(self) -> None:
        """Runs until each order's life is over, which may take longer than `seconds`."""
        async with open_http() as http:
            closed = asyncio.Event()
            async with asyncio.TaskGroup() as tasks:
                for number in range(len(self._world.merchants)):
                    tasks.create_task(self._clerk(http, number, closed))
                await asyncio.gather(*(self._live(http, number) for number in range(self._orders)))
                closed.set()

    async def _live(self, http: aiohttp.ClientSession, number: int) -> None:
        draw = Random(f"{self._seed}/{number}")
        begins_at = self._seconds * (number + draw.random()) / self._orders
        play = draw.choices(list(LIVES), weights=list(LIVES.values()))[0]
        await asyncio.sleep(max(0.0, begins_at - self.history.now()))
        async with self._slots:
            await play(self._life(http, number, draw))

    def _life(self, http: aiohttp.ClientSession, number: int, draw: Random) -> Life:
        mine = draw.randrange(len(self._world.merchants))
        other = (mine + 1) % len(self._world.merchants)
        world, name = self._world, f"customer {number}"
        till = Client(http, self.history, world.gateways, name="till", merchant="", bearer=world.gateway_key, draw=draw)
        sender = Client(http, self.history, [world.webhook_url], name="stranger", merchant="", bearer=None, draw=draw)
        return Life(
            number=number,
            shop=self._at_merchant(http, mine, name, draw),
            other_shop=self._at_merchant(http, other, "spy", draw),
            strangers=Strangers(till, sender, world.webhook_secrets, draw),
            draw=draw,
        )

    def _at_merchant(self, http: aiohttp.ClientSession, number: int, name: str, draw: Random) -> Client:
        merchant = self._world.merchants[number]
        return Client(
            http,
            self.history,
            self._world.order_apis,
            name=name,
            merchant=merchant.name,
            bearer=merchant.api_key,
            draw=draw,
        )

    async def _clerk(self, http: aiohttp.ClientSession, number: int, closed: asyncio.Event) -> None:
        """Redrives dead calls and resolves open reviews, until the shop is `closed`."""
        draw = Random(f"{self._seed}/clerk/{number}")
        clerk = self._at_merchant(http, number, "clerk", draw)
        redriven: Counter[str] = Counter()
        resolved: set[tuple[str, str, str]] = set()
        while not closed.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(CLERK_PAUSE_SECONDS):
                    await closed.wait()
            for message in seen(await clerk.get("list", "/api/outbox?state=dead&limit=100")).get("data", []):
                if redriven[message["id"]] < REDRIVES_MAX:
                    redriven[message["id"]] += 1
                    path = f"/api/outbox/{message['id']}/redrive"
                    await clerk.post("redrive", path, order_id=message["orderId"], command={"message": message["id"]})
            for order in seen(await clerk.get("list", "/api/orders?review=open&limit=100")).get("data", []):
                for code, about in sorted(
                    (one["code"], one["eventId"]) for one in order["reviews"] if not one["resolvedAt"]
                ):
                    if (order["id"], code, about) in resolved or draw.random() < 0.5:  # some wait
                        continue
                    resolved.add((order["id"], code, about))
                    decision = draw.choice(DECISIONS)
                    command = {"code": code, "event_id": about, "decision": decision}
                    path, body = (
                        f"/api/orders/{order['id']}/reviews/{code}/resolve",
                        {"decision": decision, "eventId": about},
                    )
                    await clerk.post("resolve", path, body, order_id=order["id"], command=command)
