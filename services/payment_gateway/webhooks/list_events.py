"""Lists events by whether they were delivered, for a merchant that has missed some."""

from collections.abc import Mapping, Sequence
from typing import Any

from payment_gateway.reads import page
from payment_gateway.store import Store
from shared.mongo import Document
from shared.page_reader import PAGE_BYTES_MAX
from shared.pages import LIMIT_MAX, Found, place

EVENTS_MAX = 1000  # examined for one page


async def page_by_delivery(
    store: Store,
    conditions: Mapping[str, Any],
    limit: int,
    position: str | None,
    *,
    delivered: bool,
    event_type: str | None = None,
) -> Found[Document]:
    """A page of a merchant's events that were `delivered`, or were not. An event is delivered if it has deliveries and all
    of them succeeded.

    It walks along all events by an index and looks up their deliveries by another. A position is a place among all events,
    so a delivery between two pages shifts nothing. A page examines EVENTS_MAX events: it may have fewer than `limit`, or
    none, although another page follows. Raises CursorError, PyMongoError.
    """
    found: list[Document] = []
    for _ in range(EVENTS_MAX // LIMIT_MAX):
        events, position = await page(store, store.events, conditions, LIMIT_MAX, position, also={"type": event_type})
        taken = await _delivered(store, conditions["merchant"], [one["_id"] for one in events])
        found += [one for one in events if (one["_id"] in taken) is delivered]
        is_full = len(found) >= limit or sum(len(one["raw"]) for one in found) > PAGE_BYTES_MAX
        if is_full or position is None:
            break
    shown = found[:limit]
    return Found(shown, place(shown[-1], "created_at") if len(found) > limit else position)


async def _delivered(store: Store, merchant: str, event_ids: Sequence[str]) -> set[str]:
    states = await store.deliveries.aggregate(
        [
            {"$match": {"merchant": merchant, "event_id": {"$in": event_ids}}},
            {"$group": {"_id": "$event_id", "states": {"$addToSet": "$state"}}},
        ]
    )
    return {one["_id"] async for one in states if one["states"] == ["delivered"]}
