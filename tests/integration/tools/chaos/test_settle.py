"""Bringing forward what waits for its time must not decide anything."""

from datetime import datetime, timedelta
from typing import Any

from bson import Int64

from shared.mongo import Client
from shared.times import utc_now
from tools.chaos.settle import bring_forward


async def test_only_times_that_lie_ahead_are_brought_forward(mongo: Client, database_name: str) -> None:
    orders = mongo[database_name]["orders"]
    now = utc_now()
    ahead, before = now + timedelta(hours=1), now - timedelta(hours=1)
    await orders.insert_many(
        [
            an_order("waits", a_call(ahead), due_at=ahead),
            an_order("is due", a_call(before), due_at=before),
            an_order("is claimed", a_call(ahead, claim="one"), due_at=ahead),
            an_order("is dead", a_call(None, state="dead"), due_at=None),
            an_order("waits beside a claim", a_call(ahead), a_call(ahead, claim="one"), due_at=ahead),
            an_order("is to be asked about", reconcile_at=ahead),
            an_order("is at rest"),
        ]
    )

    await bring_forward(mongo[database_name])

    found = {order["_id"]: order async for order in orders.find()}
    assert found["waits"]["calls"][0]["due_at"] == found["waits"]["due_at"] < ahead
    assert {**found["waits"]["calls"][0], "due_at": ahead} == a_call(ahead)
    assert found["is due"] == an_order("is due", a_call(stored(before)), due_at=stored(before))
    assert found["is claimed"] == an_order("is claimed", a_call(stored(ahead), claim="one"), due_at=stored(ahead))
    assert found["is dead"] == an_order("is dead", a_call(None, state="dead"), due_at=None)
    waits, claimed = found["waits beside a claim"]["calls"]
    assert waits["due_at"] == found["waits beside a claim"]["due_at"] < ahead
    assert claimed == a_call(stored(ahead), claim="one")
    assert found["is to be asked about"]["reconcile_at"] < ahead
    assert found["is at rest"] == an_order("is at rest")


async def test_whoever_has_read_a_document_before_it_is_brought_forward_can_see_that(
    mongo: Client, database_name: str
) -> None:
    """By version and writer, as of any other write."""
    ahead = utc_now() + timedelta(hours=1)
    database = mongo[database_name]
    await database["orders"].insert_many(
        [an_order("waits", a_call(ahead), due_at=ahead), an_order("is to be asked about", reconcile_at=ahead)]
    )
    await database["payment_events"].insert_one(an_order("is unmatched", reconcile_at=ahead))

    await bring_forward(database)

    for name in ("orders", "payment_events"):
        async for document in database[name].find():
            assert (document["version"], type(document["version"])) == (4, Int64)
            assert document["writer"] != "somebody"


def an_order(order_id: str, *calls: dict[str, Any], **fields: Any) -> dict[str, Any]:
    times = {"due_at": None, "reconcile_at": None}
    return {"_id": order_id, "calls": [*calls], "version": Int64(3), "writer": "somebody", **times, **fields}


def a_call(due_at: datetime | None, state: str = "open", claim: str | None = None) -> dict[str, Any]:
    return {"id": "obx_1", "state": state, "due_at": due_at, "claim": claim, "attempts": 3}


def stored(time: datetime) -> datetime:
    """As MongoDB keeps it: to the millisecond."""
    return time.replace(microsecond=time.microsecond // 1000 * 1000)
