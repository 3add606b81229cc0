"""What becomes of an order, from the request to the last event, and dying at any step of it."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

import aiohttp
import msgspec

from tests.e2e.conftest import order_body
from tests.e2e.crash_points.invariants import STATUSES, Life, check
from tests.e2e.crash_points.proxy import Moment, Point
from tests.e2e.crash_points.steps import Step
from tests.e2e.crash_points.world import World
from tests.waiting import until

LIFE_SECONDS = 90.0
WAIT_SECONDS = 60.0  # many times what anything takes
_ASK_AGAIN = {"/problems/unavailable", "/problems/overloaded", "/problems/idempotency-key-in-flight"}


class Lives:
    """Of orders in one world, one after the other. Who asks for something keeps what was answered, by key."""

    def __init__(self, world: World, http: aiohttp.ClientSession) -> None:
        self._world = world
        self._http = http
        self._lives: dict[str, Life] = {}
        self._answers: dict[str, bytes] = {}

    async def record(self, life: Life) -> list[Step]:
        """The victim's steps when nobody dies: those that two lives in a row have in common."""
        before: list[Step] = []
        while True:
            order_id = await self._prepare(life)
            self._world.gate.arm(None)
            await self._live(life, order_id)
            if before == (before := list(self._world.gate.passed)):
                return before

    async def die_at(self, life: Life, point: Point) -> None:
        """Lives a life in which the victim dies at `point` and is started again, and checks all lives so far."""
        try:
            async with asyncio.timeout(LIFE_SECONDS):
                while not await self._dies_at(life, point):
                    pass  # a step more or less than recorded, because something else was in the way
                await check(self._world.orders, self._world.gateway, self._lives, self._answers)
        except BaseException as error:
            error.add_note(f"died at: {point}")
            raise

    async def _dies_at(self, life: Life, point: Point) -> bool:
        """Whether it came to that."""
        gate = self._world.gate
        order_id = await self._prepare(life)
        gate.arm(point)
        living = asyncio.create_task(self._live(life, order_id))
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

    async def _prepare(self, life: Life) -> str:
        """The order to which happens what this life is about, its id "" if that is to be placed."""
        if life == "paid":
            return ""
        order_id = await self._place(life)
        await self._becomes(order_id, {"status": STATUSES[life][1]})
        return order_id

    async def _live(self, life: Life, order_id: str) -> None:
        match life:
            case "paid":
                order_id = await self._place(life)
            case "refunded":
                await self._ask(f"/api/orders/{order_id}/refunds", {}, key=uuid4().hex)
            case "doubled":
                await self._charge_again(order_id)
            case "cancelled":
                await self._ask(f"/api/orders/{order_id}/cancel")
            case "paid again":
                await self._ask(f"/api/orders/{order_id}/payments", {"paymentMethod": "pm_card_visa"}, key=uuid4().hex)
        ended = {"refunds.state": "succeeded"} if life == "doubled" else {"status": STATUSES[life][-1]}
        await self._becomes(order_id, ended)

    async def _place(self, life: Life) -> str:
        body = order_body(paymentMethod="pm_card_visa" if STATUSES[life][1] == "Paid" else "pm_card_declined")
        self._lives[body["orderNumber"]] = life
        return str(msgspec.json.decode(await self._ask("/api/orders", body, key=uuid4().hex))["id"])

    async def _charge_again(self, order_id: str) -> None:
        """As somebody else would who has our key at the provider."""
        order = await self._world.orders["orders"].find_one({"_id": order_id}) or {}
        charge = {"amount": order["amount_minor"], "currency": order["currency"], "reference": order_id}
        url, api_key = self._world.provider
        headers = {"Idempotency-Key": uuid4().hex, "Authorization": f"Bearer {api_key}"}
        async with self._http.post(f"{url}/v1/charges", json=charge, headers=headers) as response:
            assert response.status == 201, await response.text()

    async def _becomes(self, order_id: str, what: Mapping[str, str]) -> None:
        async def has_become() -> bool:
            return await self._world.orders["orders"].count_documents({"_id": order_id, **what}) == 1

        await until(has_become, f"{order_id} is {what}", seconds=WAIT_SECONDS)
        await until(self._is_quiet, "nothing is left to do", seconds=WAIT_SECONDS)

    async def _ask(self, path: str, body: dict[str, Any] | None = None, *, key: str | None = None) -> bytes:
        """Asks until it is answered, with the same key; then that must always be the answer."""
        headers = {"Idempotency-Key": key} if key else {}
        while True:
            try:
                async with self._http.post(
                    f"{self._world.order_api_url}{path}", json=body, headers=headers
                ) as response:
                    answer = await response.read()
                    if response.ok:
                        break
                    assert msgspec.json.decode(answer)["type"] in _ASK_AGAIN, answer
            except (aiohttp.ClientConnectionError, TimeoutError):
                pass
            await asyncio.sleep(0.05)
        if key:
            self._answers[key] = answer
        return answer

    async def _is_quiet(self) -> bool:
        orders, gateway = self._world.orders, self._world.gateway
        return not (
            await orders["orders"].count_documents({"calls.state": "open"})
            or await orders["payment_events"].count_documents({"outcome": "received"})
            or await gateway["charges"].count_documents({"due_at": {"$ne": None}})
            or await gateway["deliveries"].count_documents({"state": "pending"})
            or self._world.gate.in_flight  # what can be read already may not have been heard by who wrote it
        )


def points_of(steps: Sequence[Step], flows: Sequence[Sequence[str]]) -> list[list[Point]]:
    """Where to die: after each step, and before it takes effect. Flow by flow, each given by steps that it makes one after
    the other; the last ends it. A flow may begin before the one that causes it has ended.
    """
    found: list[list[Point]] = [[]]
    times = Counter[str]()
    awaited = [[*flow] for flow in flows]
    for step in steps:
        if not awaited[0] and len(awaited) > 1:
            awaited.pop(0)
            found.append([])
        if taken := next((flow for flow in awaited[:2] if flow[:1] == [step.name]), None):
            taken.pop(0)
        times[step.name] += 1
        moments: tuple[Moment, ...] = ("late", "unheard") if step.acts else ("unheard",)
        found[-1] += [Point(step.name, times[step.name], moment) for moment in moments]
    assert awaited == [[]], f"{awaited} did not come: {[step.name for step in steps]}"
    return found
