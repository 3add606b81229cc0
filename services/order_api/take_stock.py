"""Counting what is open, for `/metrics`, through indexes and up to a bound; what takes too long is left out. It is the
database's truth: every replica reports the same.
"""

from collections.abc import Sequence

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from order_api.store import Store
from shared.edge.metrics import Count
from shared.metrics import age_seconds
from shared.mongo import Document
from shared.times import utc_now

COUNT_MAX = 10_000
REVIEWED_ORDERS_MAX = 1_000


def counts(store: Store) -> Sequence[Count]:
    """Each raises PyMongoError."""
    stock = _TakeStock(store)
    return (
        stock.pending_orders,
        stock.oldest_pending_order,
        stock.outbox,
        stock.oldest_due_message,
        stock.reviews,
        stock.unmatched,
    )


class _TakeStock:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def pending_orders(self) -> Sequence[Metric]:
        pending = await self._store.orders.count_documents({"status": "Pending"}, limit=COUNT_MAX)
        return [GaugeMetricFamily("order_api_pending_orders", f"Pending orders, counted up to {COUNT_MAX}", pending)]

    async def oldest_pending_order(self) -> Sequence[Metric]:
        # Whoever must look at one with a review has been told; it must not hide that the others get stuck.
        oldest = await self._store.orders.find_one(
            {"status": "Pending", "reviews": []}, {"created_at": 1}, sort=[("created_at", 1)]
        )
        return [
            GaugeMetricFamily(
                "order_api_pending_order_oldest_age_seconds",
                "Age of the oldest Pending order that has no review",
                age_seconds(oldest["created_at"] if oldest else None, utc_now()),
            ),
        ]

    async def outbox(self) -> Sequence[Metric]:
        depth = GaugeMetricFamily(
            "order_api_outbox_messages",
            f"Calls of the provider that are not settled, counted up to {COUNT_MAX}; a dead one waits for a person",
            labels=["state"],
        )
        is_open = {"$eq": ["$calls.state", "open"]}
        state = {"$cond": [is_open, {"$cond": [{"$eq": ["$calls.claim", None]}, "ready", "leased"]}, "dead"]}
        stages: list[Document] = [
            {"$match": {"$or": [{"due_at": {"$type": "date"}}, {"merchant": {"$gt": ""}, "calls.state": "dead"}]}},
            {"$limit": COUNT_MAX},
            {"$unwind": "$calls"},
            {"$match": {"calls.state": {"$in": ["open", "dead"]}}},
            {"$group": {"_id": state, "count": {"$sum": 1}}},
        ]
        counted = {one["_id"]: one["count"] async for one in await self._store.orders.aggregate(stages)}
        for name in ("ready", "leased", "dead"):
            depth.add_metric([name], min(counted.get(name, 0), COUNT_MAX))
        return [depth]

    async def oldest_due_message(self) -> Sequence[Metric]:
        now = utc_now()
        first = await self._store.orders.find_one(
            {"due_at": {"$type": "date", "$lte": now}}, {"due_at": 1, "calls": 1}, sort=[("due_at", 1)]
        )
        due = [call for call in first["calls"] if call["due_at"] == first["due_at"]] if first else []
        # A new call is dated back by a minute: CLOCK_SKEW in `calls.py`.
        due_since = max(due[0]["due_at"], due[0]["created_at"]) if due else None
        return [
            GaugeMetricFamily(
                "order_api_outbox_oldest_due_age_seconds",
                "For how long the call that waits longest has been due, to within a minute",
                age_seconds(due_since, now),
            ),
        ]

    async def reviews(self) -> Sequence[Metric]:
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
        return [reviews]

    async def unmatched(self) -> Sequence[Metric]:
        # One that was put to rest by hand is not counted.
        asked_about = {"reconcile_at": {"$type": "date"}, "outcome": "unmatched"}
        unmatched = await self._store.payment_events.count_documents(asked_about, limit=COUNT_MAX)
        return [
            GaugeMetricFamily(
                "order_api_unmatched_events",
                f"Events of the provider that match no order or refund and are judged again, counted up to {COUNT_MAX}",
                unmatched,
            )
        ]
