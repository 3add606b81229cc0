"""Counts open work for `/metrics`, through indexes and up to a bound; a count that takes too long is left out. It counts in
the database, so every replica reports the same.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from prometheus_client import Info, Metric
from prometheus_client.core import GaugeMetricFamily

from payment_gateway.clock.stored_clock import StoredClock
from payment_gateway.store import Store
from shared import VERSION
from shared.edge.metrics import Count
from shared.metrics import age_seconds
from shared.mongo import Collection, Document

COUNT_MAX = 10_000

Info("payment_gateway_build", "The version that runs").info({"version": VERSION})


def counts(store: Store, clock: StoredClock) -> Sequence[Count]:
    """The counts, each of which raises PyMongoError."""
    return (partial(_settlements, store, clock), partial(_deliveries, store, clock))


async def _settlements(store: Store, clock: StoredClock) -> Sequence[Metric]:
    return [
        GaugeMetricFamily(
            "payment_gateway_settlement_oldest_due_age_seconds",
            "For how long what waits longest of a charge, a refund or a dispute should have been settled, or be announced",
            await _oldest_due(store.charges, {}, "due_at", await clock.now()),
        )
    ]


async def _deliveries(store: Store, clock: StoredClock) -> Sequence[Metric]:
    pending = {"state": "pending", "next_attempt_at": {"$type": "date"}}
    return [
        GaugeMetricFamily(
            "payment_gateway_pending_deliveries",
            f"Deliveries that have not succeeded and will be tried again, counted up to {COUNT_MAX}",
            await store.deliveries.count_documents(pending, limit=COUNT_MAX),
        ),
        GaugeMetricFamily(
            "payment_gateway_delivery_oldest_due_age_seconds",
            "For how long the delivery that waits longest has been due",
            await _oldest_due(store.deliveries, {"state": "pending"}, "next_attempt_at", await clock.now()),
        ),
    ]


async def _oldest_due(collection: Collection, condition: Document, due_at: str, now: datetime) -> float:
    first = await collection.find_one(
        {**condition, due_at: {"$lte": now, "$type": "date"}}, {due_at: 1}, sort=[(due_at, 1)]
    )
    return age_seconds(first[due_at] if first else None, now)
