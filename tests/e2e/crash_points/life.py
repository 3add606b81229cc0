"""An order's life from placing to paid, and dying in it at any step."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import aiohttp
import msgspec

from tests.e2e.conftest import order_body
from tests.e2e.crash_points.invariants import check
from tests.e2e.crash_points.proxy import Moment, Point
from tests.e2e.crash_points.steps import Step
from tests.e2e.crash_points.world import World
from tests.waiting import until

LIFE_SECONDS = 90.0
PAID_SECONDS = 30.0  # many times what it takes
_ASK_AGAIN = {"/problems/unavailable", "/problems/overloaded", "/problems/idempotency-key-in-flight"}


class Lives:
    """Of orders in one world, one after the other. Who places them keeps what was answered, by key."""

    def __init__(self, world: World, http: aiohttp.ClientSession) -> None:
        self._world = world
        self._http = http
        self._numbers: list[str] = []
        self._answers: dict[str, bytes] = {}

    async def record(self) -> list[Step]:
        """The victim's steps in a life in which nobody dies: those that two lives in a row have in common."""
        before: list[Step] = []
        while True:
            self._world.gate.arm(None)
            await self._live()
            if before == (before := self._world.gate.passed):
                return before

    async def die_at(self, point: Point) -> None:
        """Lives a life in which the victim dies at `point` and is started again, and checks all lives so far."""
        try:
            async with asyncio.timeout(LIFE_SECONDS):
                while not await self._dies_at(point):
                    pass  # a step more or less than recorded, because something else was in the way
                orders, gateway = self._world.orders, self._world.gateway
                await check(orders, gateway, self._answers, self._numbers)
        except BaseException as error:
            error.add_note(f"died at: {point}")
            raise

    async def _dies_at(self, point: Point) -> bool:
        """Whether it came to that."""
        gate = self._world.gate
        gate.arm(point)
        living = asyncio.create_task(self._live())
        reaching = asyncio.create_task(gate.reached.wait())
        try:
            await asyncio.wait((living, reaching), return_when=asyncio.FIRST_COMPLETED)
            if reached := reaching.done():
                await self._world.restart()
            await living
        finally:
            living.cancel()
            reaching.cancel()
        return reached

    async def _live(self) -> None:
        key, body = uuid4().hex, order_body()
        self._numbers.append(body["orderNumber"])
        self._answers[key] = answer = await self._place(key, body)
        order_id = msgspec.json.decode(answer)["id"]

        async def is_paid() -> bool:
            return await self._world.orders["orders"].count_documents({"_id": order_id, "status": "Paid"}) == 1

        await until(is_paid, f"{order_id} is Paid", seconds=PAID_SECONDS)
        await until(self._is_quiet, "nothing is left to do", seconds=PAID_SECONDS)

    async def _place(self, key: str, body: dict[str, Any]) -> bytes:
        """Asks with the same key until it is answered."""
        url, headers = f"{self._world.order_api_url}/api/orders", {"Idempotency-Key": key}
        while True:
            try:
                async with self._http.post(url, json=body, headers=headers) as response:
                    answer = await response.read()
                    if response.status == 201:
                        return answer
                    assert msgspec.json.decode(answer)["type"] in _ASK_AGAIN, answer
            except (aiohttp.ClientConnectionError, TimeoutError):
                pass
            await asyncio.sleep(0.05)

    async def _is_quiet(self) -> bool:
        orders, gateway = self._world.orders, self._world.gateway
        return not (
            await orders["outbox"].count_documents({"state": {"$in": ["ready", "leased"]}})
            or await gateway["charges"].count_documents({"status": "pending"})
            or await gateway["deliveries"].count_documents({"state": "pending"})
        )


def points_of(steps: Sequence[Step]) -> list[list[Point]]:
    """Where to die: after each step, and before it takes effect. Flow by flow; each ends with its commit and, if it was
    asked for by HTTP, its answer.
    """
    flows: list[list[Point]] = [[]]
    times = Counter[str]()
    ended = False
    for step in steps:
        is_answer = step.name.startswith("answer ")
        if ended and not is_answer:
            flows.append([])
        ended = step.name == "commitTransaction" or (ended and is_answer)
        times[step.name] += 1
        moments: tuple[Moment, ...] = ("late", "unheard") if step.acts else ("unheard",)
        flows[-1] += [Point(step.name, times[step.name], moment) for moment in moments]
    return flows
