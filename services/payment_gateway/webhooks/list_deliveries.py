"""Lists deliveries by facts that are not in them, or only in part: their event's reference, and whether they are failing."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from payment_gateway.reads import NEWEST_FIRST, given, page
from payment_gateway.store import Store
from payment_gateway.webhooks.delivery import Delivery, State
from shared.mongo import Document
from shared.pages import Found, Paging

EVENTS_MAX = 1000  # of one reference whose deliveries are listed

# A right receiver refuses a forgery, so only a failure of the true event counts.
_FAILING: Mapping[str, Any] = {"state": "pending", "attempts": {"$elemMatch": {"forgery": None}}}


async def page_of_deliveries(
    store: Store,
    merchant: str,
    paging: Paging,
    *,
    event_id: str | None = None,
    endpoint_id: str | None = None,
    reference: str | None = None,
    state: State | Literal["failing"] | None = None,
) -> Found[Document]:
    """A page of a merchant's deliveries, newest first. It uses the indexes of events by reference and of deliveries by
    event, and walks through neither list. With a `state` it may be short, as `page` says. Raises CursorError, PyMongoError.
    """
    wanted: Document = {"merchant": merchant, "event_id": event_id, "endpoint_id": endpoint_id}
    if reference is not None:
        of_reference = given({"merchant": merchant, "reference": reference, "_id": event_id})
        newest = {"$match": of_reference}, {"$sort": NEWEST_FIRST}, {"$limit": EVENTS_MAX}, {"$project": {"_id": 1}}
        wanted["event_id"] = {"$in": [event["_id"] for event in await store.read(store.events, *newest)]}
    also = _FAILING if state == "failing" else {"state": state}
    return await page(store, store.deliveries, wanted, paging, also=also)


async def events_of(store: Store, deliveries: Iterable[Delivery]) -> dict[str, Document]:
    """The type and reference of their events, by id. Raises PyMongoError."""
    ids = list({one.event_id for one in deliveries})
    found = store.events.find({"_id": {"$in": ids}}, {"type": 1, "reference": 1})
    return {event["_id"]: event async for event in found}
