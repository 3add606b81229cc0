"""Bringing forward what waits for its time must not decide anything."""

from datetime import timedelta
from typing import Any

from shared.mongo import Client
from shared.times import utc_now
from tools.chaos.settle import bring_forward


async def test_only_times_that_lie_ahead_are_brought_forward(mongo: Client, database_name: str) -> None:
    database = mongo[database_name]
    now = utc_now()
    ahead, before = now + timedelta(hours=1), now - timedelta(hours=1)
    messages: list[dict[str, Any]] = [
        {"_id": "waits", "state": "ready", "next_attempt_at": ahead, "lease_until": None, "fence": 3},
        {"_id": "is due", "state": "ready", "next_attempt_at": before, "lease_until": None, "fence": 3},
        {"_id": "is leased", "state": "leased", "next_attempt_at": ahead, "lease_until": ahead, "fence": 3},
        {"_id": "is dead", "state": "dead", "next_attempt_at": ahead, "lease_until": None, "fence": 3},
    ]
    orders: list[dict[str, Any]] = [
        {"_id": "waits", "reconcile_at": ahead},
        {"_id": "is at rest", "reconcile_at": None},
    ]
    await database["outbox"].insert_many(messages)
    await database["orders"].insert_many(orders)

    await bring_forward(database)

    found = {message["_id"]: message async for message in database["outbox"].find()}
    assert found["waits"].pop("next_attempt_at") < ahead
    assert found["waits"] == {"_id": "waits", "state": "ready", "lease_until": None, "fence": 3}
    assert found["is due"]["next_attempt_at"] < now
    assert found["is leased"]["next_attempt_at"] > now + timedelta(minutes=30)
    assert found["is dead"]["next_attempt_at"] > now + timedelta(minutes=30)
    asked_about = {order["_id"]: order["reconcile_at"] async for order in database["orders"].find()}
    assert asked_about["waits"] < ahead
    assert asked_about["is at rest"] is None
