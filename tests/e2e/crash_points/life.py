"""An order's life from placing to paid, died in at any step, and what must be true after each."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import aiohttp
import msgspec

from shared.mongo import Collection
from tests.e2e.conftest import order_body
from tests.e2e.crash_points.proxy import Moment, Point
from tests.e2e.crash_points.steps import Step
from tests.e2e.crash_points.world import World
from tests.waiting import until

LIFE_SECONDS = 40.0
_ASK_AGAIN = {"/problems/unavailable", "/problems/overloaded", "/problems/idempotency-key-in-flight"}


class Lives:
    """All that was placed in one world, each under its key, and how it was answered."""

    def __init__(self, world: World, url: str, http: aiohttp.ClientSession) -> None:
        self._world = world
        self._url = url
        self._http = http
        self._placed: dict[str, tuple[dict[str, Any], bytes]] = {}

    async def record(self) -> list[Step]:
        """The victim's steps in a life in which nobody dies: what two lives in a row have in common."""
        before: list[Step] = []
        while True:
            self._world.gate.arm(None)
            await self._live()
            if before == (before := self._world.gate.passed):
                return before

    async def die_at(self, point: Point) -> None:
        """A life in which the victim dies at `point` and is started again; then checks all lives so far."""
        try:
            async with asyncio.timeout(LIFE_SECONDS):
                while not await self._died_at(point):
                    pass  # a step more or less, because something else was in the way
                await self._check()
        except BaseException as error:
            error.add_note(f"died at: {point}")
            raise

    async def _died_at(self, point: Point) -> bool:
        """Whether `point` was reached."""
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
        answer = await self._place(key, body)
        self._placed[key] = (body, answer)
        order_id = msgspec.json.decode(answer)["id"]
        orders = self._world.orders["orders"]

        async def is_paid() -> bool:
            return await orders.count_documents({"_id": order_id, "status": "Paid"}) == 1

        await until(is_paid, f"{order_id} is Paid")
        await until(self._is_quiet, "nothing is pending")

    async def _place(self, key: str, body: dict[str, Any]) -> bytes:
        """Asks with the same key until there is an answer."""
        while True:
            try:
                headers = {"Idempotency-Key": key}
                async with self._http.post(f"{self._url}/api/orders", json=body, headers=headers) as response:
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
            await orders["outbox"].count_documents({"state": {"$ne": "done"}})
            or await gateway["charges"].count_documents({"status": "pending"})
            or await gateway["deliveries"].count_documents({"state": {"$ne": "delivered"}})
        )

    async def _check(self) -> None:
        """Of every life so far."""
        key, (body, answer) = list(self._placed.items())[-1]
        assert await self._place(key, body) == answer  # a replay
        orders, gateway = self._world.orders, self._world.gateway
        found = await _all(orders["orders"])
        ids = {one["_id"] for one in found}
        keys = await _all(orders["idempotency_keys"])
        answers = {f"default:{key}": answer for key, (_, answer) in self._placed.items()}
        assert {one["_id"]: one["body"].encode() for one in keys} == answers
        assert sorted(one["resource_id"] for one in keys) == sorted(ids)
        assert sorted(one["order_number"] for one in found) == sorted(
            body["orderNumber"] for body, _ in self._placed.values()
        )
        # One message, one charge, one event, one delivery for each; each took effect once.
        assert sorted(one["order_id"] for one in await _all(orders["outbox"])) == sorted(ids)
        charges = await _all(gateway["charges"])
        assert sorted((one["reference"], one["status"]) for one in charges) == sorted((one, "succeeded") for one in ids)
        events = {one["_id"]: one for one in await _all(gateway["events"])}
        assert sorted(one["reference"] for one in events.values()) == sorted(ids)
        assert sorted(one["event_id"] for one in await _all(gateway["deliveries"])) == sorted(events)
        received = await _all(orders["payment_events"])
        assert {one["_id"]: (one["raw"], one["outcome"]) for one in received} == {
            one["_id"]: (one["raw"], "applied") for one in events.values()
        }
        charged = {one["reference"]: one["_id"] for one in charges}
        for one in found:
            assert [change["status"] for change in one["history"]] == ["Pending", "Paid"], one
            assert [(charge["id"], charge["state"]) for charge in one["charges"]] == [(charged[one["_id"]], "succeeded")]
            assert not one["reviews"], one


def points_of(steps: Sequence[Step]) -> list[list[Point]]:
    """Where to die, flow by flow: each ends with its commit, or with the answer that follows it."""
    flows: list[list[Point]] = [[]]
    times = Counter[str]()
    committed = False
    for step in steps:
        if committed and not step.name.startswith("answer "):
            flows.append([])
        committed = step.name == "commitTransaction" or (committed and step.name.startswith("answer "))
        times[step.name] += 1
        moments: tuple[Moment, ...] = ("late", "unheard") if step.acts else ("unheard",)
        flows[-1] += [Point(step.name, times[step.name], moment) for moment in moments]
    return flows


async def _all(collection: Collection) -> list[dict[str, Any]]:
    return await collection.find().to_list()
