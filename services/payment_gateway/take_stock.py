"""Counting what is open, for `/metrics`. All of it is read through indexes and bounded, so that being watched costs little
however much there is. It is the database's truth: every replica reports the same.
"""

from collections.abc import Sequence
from datetime import datetime

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from payment_gateway.store import Store
from shared.metrics import age_seconds
from shared.mongo import Collection, Document
from shared.times import utc_now

COUNT_MAX = 10_000


class TakeStock:
    """Raises PyMongoError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def __call__(self) -> Sequence[Metric]:
        now = utc_now()
        unsettled = GaugeMetricFamily(
            "payment_gateway_settlement_oldest_due_age_seconds",
            "For how long the charge or refund that waits longest should have been settled",
            labels=["kind"],
        )
        for kind, collection in (("charge", self._store.charges), ("refund", self._store.refunds)):
            unsettled.add_metric([kind], await _oldest_due(collection, {"status": "pending"}, "due_at", now))
        deliveries, pending = self._store.deliveries, {"state": "pending", "next_attempt_at": {"$type": "date"}}
        return [
            unsettled,
            GaugeMetricFamily(
                "payment_gateway_pending_deliveries",
                f"Deliveries that have not succeeded and will be tried again, counted up to {COUNT_MAX}",
                await deliveries.count_documents(pending, limit=COUNT_MAX),
            ),
            GaugeMetricFamily(
                "payment_gateway_delivery_oldest_due_age_seconds",
                "For how long the delivery that waits longest has been due",
                await _oldest_due(deliveries, {"state": "pending"}, "next_attempt_at", now),
            ),
        ]


async def _oldest_due(collection: Collection, condition: Document, due_at: str, now: datetime) -> float:
    first = await collection.find_one({**condition, due_at: {"$lte": now}}, {due_at: 1}, sort=[(due_at, 1)])
    return age_seconds(first[due_at] if first else None, now)
