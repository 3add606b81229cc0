"""Lists events, also by whether they were delivered, for a merchant that has missed some."""

from collections.abc import Sequence

from msgspec.structs import replace

from payment_gateway.reads import page
from payment_gateway.store import Store
from shared import wire
from shared.mongo import Document
from shared.page_reader import PAGE_BYTES_MAX
from shared.pages import LIMIT_MAX, Found, Paging, place

EVENTS_MAX = 1000  # examined for one page


async def page_of_events(
    store: Store,
    merchant: str,
    paging: Paging,
    *,
    reference: str | None = None,
    event_type: wire.EventType | None = None,
    delivered: bool | None = None,
) -> Found[Document]:
    """A page of a merchant's events, newest first; if `delivered` is given, only those that were, or were not. An event is
    delivered if it has deliveries and all of them succeeded. With an `event_type` the page may be short, as `page` says.

    For `delivered` it walks along all events by an index and looks up their deliveries by another. A position is a place
    among all events, so a delivery between two pages shifts nothing. Such a page examines EVENTS_MAX events: it may have
    fewer than its limit, or none, although another page follows. Raises CursorError, PyMongoError.
    """
    of, also = {"merchant": merchant, "reference": reference}, {"type": event_type}
    if delivered is None:
        return await page(store, store.events, of, paging, also=also)
    found: list[Document] = []
    looking = replace(paging, limit=LIMIT_MAX)
    for _ in range(EVENTS_MAX // LIMIT_MAX):
        events, position = await page(store, store.events, of, looking, also=also)
        taken = await _delivered(store, merchant, [one["_id"] for one in events])
        found += [one for one in events if (one["_id"] in taken) is delivered]
        is_full = len(found) >= paging.limit or sum(len(one["raw"]) for one in found) > PAGE_BYTES_MAX
        if is_full or position is None:
            break
        looking = replace(looking, after=position)
    shown = found[: paging.limit]
    return Found(shown, place(shown[-1], "created_at") if len(found) > paging.limit else position)


async def _delivered(store: Store, merchant: str, event_ids: Sequence[str]) -> set[str]:
    states = await store.deliveries.aggregate(
        [
            {"$match": {"merchant": merchant, "event_id": {"$in": event_ids}}},
            {"$group": {"_id": "$event_id", "states": {"$addToSet": "$state"}}},
        ]
    )
    return {one["_id"] async for one in states if one["states"] == ["delivered"]}
