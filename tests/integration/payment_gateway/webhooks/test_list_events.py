"""C22: what was not delivered is found, page by page, whatever is delivered meanwhile."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from payment_gateway.app import Application
from payment_gateway.webhooks.list_events import page_of_events
from shared.mongo import Document
from shared.pages import LIMIT_MAX, Paging
from shared.times import utc_now

NOW = utc_now()
TWO = Paging(limit=2)


async def put(application: Application, number: int, *states: str, merchant: str = "default") -> None:
    """An event, the later the greater its `number`, and deliveries of it in these states."""
    at = NOW + timedelta(milliseconds=number // 2)  # two each
    common: Document = {"merchant": merchant, "created_at": at}
    event: Document = {
        "_id": f"evt_{number:04}",
        "type": "payment.succeeded",
        "reference": "ord_1",
        "raw": "{}",
        **common,
    }
    await application.store.events.insert_one(event)
    for place, state in enumerate(states):
        delivery = {"_id": f"dlv_{number}_{place}", "event_id": event["_id"], "endpoint_id": "we_1", "state": state}
        await application.store.deliveries.insert_one({**delivery, **common})


async def pages(
    application: Application, merchant: str = "default", paging: Paging = TWO, *, delivered: bool = False
) -> AsyncIterator[list[int]]:
    """The numbers of the events, page by page."""
    while True:
        found, following = await page_of_events(application.store, merchant, paging, delivered=delivered)
        yield [int(one["_id"].removeprefix("evt_")) for one in found]
        if following is None:
            return
        paging = replace(paging, after=following)


async def listed(application: Application, *of: Any, **how: Any) -> list[int]:
    return [number async for page in pages(application, *of, **how) for number in page]


STATES = [(), ("delivered",), ("pending",), ("failed",), ("cancelled",), ("delivered", "failed"), ("delivered",) * 3]


async def test_not_delivered_is_what_has_no_delivery_or_one_that_did_not_succeed(application: Application) -> None:
    for number, states in enumerate(STATES):
        await put(application, number, *states)
    assert await listed(application) == [5, 4, 3, 2, 0]
    assert await listed(application, delivered=True) == [6, 1]


async def test_no_event_is_skipped_or_comes_twice_when_deliveries_end_between_two_pages(
    application: Application,
) -> None:
    for number in range(12):
        await put(application, number, "pending")
    walk = pages(application, paging=Paging(limit=3))
    assert await anext(walk) == [11, 10, 9]
    for ended in (10, 8, 5):
        await application.store.deliveries.update_one({"_id": f"dlv_{ended}_0"}, {"$set": {"state": "delivered"}})
    await put(application, 12, "pending")
    assert [page async for page in walk] == [[7, 6, 4], [3, 2, 1], [0]]


async def test_a_page_looks_at_a_bounded_number_of_events_and_leads_on_from_there(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("payment_gateway.webhooks.list_events.EVENTS_MAX", LIMIT_MAX)
    await put(application, 0, "pending")
    for number in range(1, 2 * LIMIT_MAX + 1):
        await put(application, number, "delivered")
    database = application.store.database
    await database.command("profile", 2)
    assert [page async for page in pages(application)] == [[], [], [0]]
    await database.command("profile", 0)
    reads = await database["system.profile"].find({"ns": {"$regex": r"\.(events|deliveries)$"}}).to_list()
    assert len(reads) == 6
    assert max(one["keysExamined"] for one in reads) <= 2 * LIMIT_MAX + 2, "a key an event, and one that ends its range"
    assert max(one["docsExamined"] for one in reads) <= LIMIT_MAX + 1 + 2, "those of the cursor's own moment again"


async def test_what_was_announced_before_a_time_is_not_looked_at(application: Application) -> None:
    for number in range(30):
        await put(application, number, "pending")
    since = Paging(limit=2, created_from=NOW + timedelta(milliseconds=13))
    database = application.store.database
    await database.command("profile", 2)
    assert await listed(application, paging=since) == [29, 28, 27, 26], "from that moment on"
    await database.command("profile", 0)
    reads = database["system.profile"].find({"ns": {"$regex": r"\.events$"}})
    assert [one["docsExamined"] async for one in reads] == [4, 4], "those of the cursor's own moment again"


async def test_the_events_of_another_merchant_are_never_listed(application: Application) -> None:
    await put(application, 1, "pending")
    await put(application, 2, "pending", merchant="other")
    assert await listed(application) == [1]
    assert await listed(application, "other") == [2]
