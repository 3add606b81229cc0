"""Counting what is open, for `/metrics`. All of it is read through indexes and bounded, so that being watched costs little
however much there is. It is the database's truth: every replica reports the same.
"""

from collections.abc import Sequence
from datetime import datetime

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from order_api.outbox import OPEN_STATES
from order_api.store import Store
from shared.metrics import age_seconds
from shared.mongo import Document
from shared.times import utc_now

COUNT_MAX = 10_000
REVIEWED_ORDERS_MAX = 1_000


class TakeStock:
    """Raises PyMongoError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def __call__(self) -> Sequence[Metric]:
        now = utc_now()
        return [*await self._orders(now), *await self._outbox(now), await self._reviews()]

    async def _orders(self, now: datetime) -> Sequence[Metric]:
        orders = self._store.orders
        pending = await orders.count_documents({"status": "Pending"}, limit=COUNT_MAX)
        # Whoever must look at one with a review has been told; it must not hide that the others get stuck.
        oldest = await orders.find_one(
            {"status": "Pending", "reviews": []}, {"created_at": 1}, sort=[("created_at", 1)]
        )
        return [
            GaugeMetricFamily("order_api_pending_orders", f"Pending orders, counted up to {COUNT_MAX}", pending),
            GaugeMetricFamily(
                "order_api_pending_order_oldest_age_seconds",
                "Age of the oldest Pending order that has no review",
                age_seconds(oldest["created_at"] if oldest else None, now),
            ),
        ]

    async def _outbox(self, now: datetime) -> Sequence[Metric]:
        outbox = self._store.outbox
        depth = GaugeMetricFamily(
            "order_api_outbox_messages",
            f"Messages to the provider that are not settled, counted up to {COUNT_MAX}; a dead one waits for a person",
            labels=["state"],
        )
        for state in (*OPEN_STATES, "dead"):
            depth.add_metric([state], await outbox.count_documents({"state": state}, limit=COUNT_MAX))
        first = await outbox.find_one(
            {"state": {"$in": list(OPEN_STATES)}, "next_attempt_at": {"$lte": now}},
            {"next_attempt_at": 1, "created_at": 1},
            sort=[("next_attempt_at", 1)],
        )
        # A new message is dated back by a minute: CLOCK_SKEW in `outbox.py`.
        due_since = max(first["next_attempt_at"], first["created_at"]) if first else None
        return [
            depth,
            GaugeMetricFamily(
                "order_api_outbox_oldest_due_age_seconds",
                "For how long the message that waits longest has been due, to within a minute",
                age_seconds(due_since, now),
            ),
        ]

    async def _reviews(self) -> Metric:
        reviews = GaugeMetricFamily(
            "order_api_open_reviews",
            f"What a person must look at, by code, on up to {REVIEWED_ORDERS_MAX} orders",
            labels=["code"],
        )
        stages: list[Document] = [
            {"$match": {"reviews.resolved_at": {"$type": "null"}}},
            {"$limit": REVIEWED_ORDERS_MAX},
            {"$unwind": "$reviews"},
            {"$match": {"reviews.resolved_at": None}},
            {"$group": {"_id": "$reviews.code", "count": {"$sum": 1}}},
        ]
        async for found in await self._store.orders.aggregate(stages):
            reviews.add_metric([found["_id"]], found["count"])
        return reviews
