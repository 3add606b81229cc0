"""Counting what is open, for `/metrics`, through indexes and up to a bound; what takes too long is left out. It is the
database's truth: every replica reports the same.
"""

from collections.abc import Sequence
from functools import partial
from typing import get_args

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from order_api.order import Status
from order_api.reviews import OPEN_REVIEW
from order_api.store import Store
from shared.edge.metrics import Count
from shared.metrics import age_seconds
from shared.mongo import Document
from shared.times import utc_now

COUNT_MAX = 10_000
REVIEWED_ORDERS_MAX = 1_000


def counts(store: Store) -> Sequence[Count]:
    """Each raises PyMongoError."""
    all_of_them = (_orders, _pending_orders, _oldest_pending_order, _outbox, _oldest_due_message, _reviews, _unmatched)
    return [partial(count, store) for count in all_of_them]


async def _pending_orders(store: Store) -> Sequence[Metric]:
    pending = await store.orders.count_documents({"status": "Pending"}, limit=COUNT_MAX)
    return [GaugeMetricFamily("order_api_pending_orders", f"Pending orders, counted up to {COUNT_MAX}", pending)]


async def _orders(store: Store) -> Sequence[Metric]:
    about = f"Orders by the status that they have now, counted up to {COUNT_MAX} of each"
    orders = GaugeMetricFamily("order_api_orders", about, labels=["status"])
    for status in get_args(Status):
        of_every_merchant = {"merchant": {"$gt": ""}, "status": status}  # the index by merchant and status serves
        orders.add_metric([status], await store.orders.count_documents(of_every_merchant, limit=COUNT_MAX))
    return [orders]


async def _oldest_pending_order(store: Store) -> Sequence[Metric]:
    # A person already looks at an order with a review; it must not hide that others get stuck.
    stuck = {"status": "Pending", "reviews": []}
    oldest = await store.orders.find_one(stuck, {"created_at": 1}, sort=[("created_at", 1)])
    age = age_seconds(oldest["created_at"] if oldest else None, utc_now())
    about = "Age of the oldest Pending order that has no review"
    return [GaugeMetricFamily("order_api_pending_order_oldest_age_seconds", about, age)]


async def _outbox(store: Store) -> Sequence[Metric]:
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
    counted = {one["_id"]: one["count"] async for one in await store.orders.aggregate(stages)}
    for name in ("ready", "leased", "dead"):
        depth.add_metric([name], min(counted.get(name, 0), COUNT_MAX))
    return [depth]


async def _oldest_due_message(store: Store) -> Sequence[Metric]:
    now = utc_now()
    is_due = {"due_at": {"$type": "date", "$lte": now}}
    first = await store.orders.find_one(is_due, {"due_at": 1, "calls": 1}, sort=[("due_at", 1)])
    due = [call for call in first["calls"] if call["due_at"] == first["due_at"]] if first else []
    # A new call is dated back by a minute: CLOCK_SKEW in `calls.py`.
    due_since = max(due[0]["due_at"], due[0]["created_at"]) if due else None
    about = "For how long the call that waits longest has been due, to within a minute"
    return [GaugeMetricFamily("order_api_outbox_oldest_due_age_seconds", about, age_seconds(due_since, now))]


async def _reviews(store: Store) -> Sequence[Metric]:
    reviews = GaugeMetricFamily(
        "order_api_open_reviews",
        f"What a person must look at, by code, on up to {REVIEWED_ORDERS_MAX} orders",
        labels=["code"],
    )
    stages: list[Document] = [
        {"$match": {"merchant": {"$gt": ""}, **OPEN_REVIEW}},
        {"$limit": REVIEWED_ORDERS_MAX},
        {"$unwind": "$reviews"},
        {"$match": {"reviews.resolved_at": None}},
        {"$group": {"_id": "$reviews.code", "count": {"$sum": 1}}},
    ]
    async for found in await store.orders.aggregate(stages):
        reviews.add_metric([found["_id"]], found["count"])
    return [reviews]


async def _unmatched(store: Store) -> Sequence[Metric]:
    # One that was put to rest by hand is not counted.
    asked_about = {"reconcile_at": {"$type": "date"}, "outcome": "unmatched"}
    unmatched = await store.payment_events.count_documents(asked_about, limit=COUNT_MAX)
    about = f"Events of the provider that match no order or refund and are judged again, counted up to {COUNT_MAX}"
    return [GaugeMetricFamily("order_api_unmatched_events", about, unmatched)]
