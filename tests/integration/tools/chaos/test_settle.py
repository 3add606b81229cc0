"""Bringing forward what waits for its time must not decide anything."""

from datetime import datetime, timedelta
from typing import Any

from bson import Int64

from shared.mongo import Client
from shared.times import utc_now
from tools.chaos.settle import bring_forward


async def test_only_times_that_lie_ahead_are_brought_forward(mongo: Client, database_name: str) -> None:
    events = mongo[database_name]["payment_events"]
    now = utc_now()
    ahead, before = now + timedelta(hours=1), now - timedelta(hours=1)
    await events.insert_many(
        [an_event("is unmatched", ahead), an_event("is looked at now", before), an_event("is applied", None)]
    )

    await bring_forward(mongo[database_name])

    found = {event["_id"]: event async for event in events.find()}
    assert before < found["is unmatched"]["reconcile_at"] < ahead
    assert found["is looked at now"] == an_event("is looked at now", stored(before))
    assert found["is applied"] == an_event("is applied", None)


async def test_whoever_has_read_an_event_before_it_is_brought_forward_can_see_that(
    mongo: Client, database_name: str
) -> None:
    """By version and writer, as of any other write."""
    events = mongo[database_name]["payment_events"]
    await events.insert_one(an_event("is unmatched", utc_now() + timedelta(hours=1)))

    await bring_forward(mongo[database_name])

    event = await events.find_one({})
    assert event is not None
    assert (event["version"], type(event["version"])) == (4, Int64)
    assert event["writer"] != "somebody"


def an_event(event_id: str, reconcile_at: datetime | None) -> dict[str, Any]:
    return {"_id": event_id, "version": Int64(3), "writer": "somebody", "reconcile_at": reconcile_at}


def stored(time: datetime) -> datetime:
    """As MongoDB keeps it: to the millisecond."""
    return time.replace(microsecond=time.microsecond // 1000 * 1000)
