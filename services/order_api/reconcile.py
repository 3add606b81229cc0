"""Asking the provider what we may have missed: whatever has an open money question is asked about, with growing pauses,
until it has none. A webhook that is lost for ever costs time, never money. C22

`reconcile_at` is schedule and claim in one: whoever moves it on asks. No fence is needed, because the answers go through
`record_events`, where saying something twice is saying it once. C21
"""

import asyncio

import msgspec

from order_api.event import parse_event
from order_api.gateway_client import GatewayClient, GatewayUnavailableError
from order_api.metrics import RECONCILIATIONS
from order_api.record_events import RecordEvents
from order_api.store import Store
from shared.backoff import exponential
from shared.leases import LeasedWork, in_seconds
from shared.mongo import Collection, Document, describe
from shared.telemetry import log
from shared.times import utc_now
from shared.tracing import continue_trace, current_trace

SLOTS = 8
ASK_SECONDS = 60.0  # for all pages of one order
PAUSE_CAP_SECONDS = 3600.0


class _Question(msgspec.Struct, frozen=True):
    """An order to ask about, or an event that matched nothing, to be judged again."""

    order_id: str | None
    raw: str | None
    trace: str | None


class Reconcile:
    def __init__(
        self, store: Store, gateway: GatewayClient, record: RecordEvents, *, poll_seconds: float = 1.0
    ) -> None:
        self._store = store
        self._gateway = gateway
        self._record = record
        self.work = LeasedWork[_Question](
            self._claim, self._ask, name="reconcile", slots=SLOTS, poll_seconds=poll_seconds
        )

    async def _claim(self, limit: int) -> list[_Question]:
        orders = await self._take_due(self._store.orders, limit)
        events = await self._take_due(self._store.payment_events, limit - len(orders))
        return [
            *(_Question(order["_id"], None, order.get("trace")) for order in orders),
            *(_Question(event.get("order_id"), event["raw"], event.get("trace")) for event in events),
        ]

    async def _take_due(self, collection: Collection, limit: int) -> list[Document]:
        """Up to `limit` documents whose `reconcile_at` has come, moved on to their next turn by us and nobody else."""
        if limit < 1:
            return []
        due = {"$expr": {"$lte": ["$reconcile_at", "$$NOW"]}, "reconcile_at": {"$type": "date"}}
        taken = []
        for found in await collection.find(due).sort("reconcile_at").limit(limit).to_list():
            pause = exponential(
                found["reconcile_attempts"] + 1,
                base_seconds=self._store.reconcile_after.total_seconds(),
                cap_seconds=PAUSE_CAP_SECONDS,
            )
            moved = await collection.update_one(
                {"_id": found["_id"], "reconcile_at": found["reconcile_at"]},
                [{"$set": {"reconcile_at": in_seconds(pause), "reconcile_attempts": found["reconcile_attempts"] + 1}}],
            )
            if moved.modified_count:
                taken.append(found)
        return taken

    async def _ask(self, question: _Question) -> None:
        continue_trace(question.trace, order_id=question.order_id)
        if question.raw is not None:
            RECONCILIATIONS["judged_again"].inc()
            await self._record_one(question.raw.encode())
            return
        assert question.order_id is not None
        told = 0
        try:
            async with asyncio.timeout(ASK_SECONDS):
                async for raw in self._gateway.events(question.order_id):
                    await self._record_one(raw)
                    told += 1
        except (GatewayUnavailableError, TimeoutError) as error:
            RECONCILIATIONS["unavailable"].inc()
            log.warning("reconciliation got no answer", reason=describe(error))
        else:
            RECONCILIATIONS["answered"].inc()
            log.info("asked the provider", events=told)

    async def _record_one(self, raw: bytes) -> None:
        """One event that cannot be recorded, now or ever, does not keep those after it from being recorded."""
        try:
            await self._record(parse_event(raw, source="reconcile", now=utc_now(), trace=current_trace()))
        except Exception as error:  # noqa: BLE001 - whatever it is, the question stays open and is asked again
            log.warning("an event was not recorded", reason=describe(error))
