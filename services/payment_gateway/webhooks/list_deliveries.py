"""Lists deliveries by facts that are not in them, or only in part: their event's reference, and whether they are failing."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from payment_gateway.reads import NEWEST_FIRST, page
from payment_gateway.store import Store
from payment_gateway.webhooks.delivery import Delivery, State
from shared.mongo import Document
from shared.pages import Found

EVENTS_MAX = 1000  # of one reference whose deliveries are listed

# A right receiver refuses a forgery, so only a failure of the true event counts.
_FAILING: Mapping[str, Any] = {"state": "pending", "attempts": {"$elemMatch": {"forgery": None}}}


async def page_of_deliveries(
    store: Store,
    conditions: Mapping[str, Any],
    limit: int,
    position: str | None,
    *,
    reference: str | None,
    state: State | Literal["failing"] | None,
) -> Found[Document]:
    """A page of a merchant's deliveries, newest first. It uses the indexes of events by reference and of deliveries by
    event, and walks through neither list. With a `state` it may be short, as `page` says. Raises CursorError, PyMongoError.
    """
    wanted, also = {**conditions}, _FAILING if state == "failing" else {"state": state}
    if reference is not None:
        of_reference = {"merchant": conditions["merchant"], "reference": reference}
        if one := wanted["event_id"]:
            of_reference["_id"] = one
        events = store.events.find(of_reference, {"_id": 1}).sort([*NEWEST_FIRST.items()]).limit(EVENTS_MAX)
        wanted["event_id"] = {"$in": [event["_id"] async for event in events]}
    return await page(store, store.deliveries, wanted, limit, position, also=also)


async def events_of(store: Store, deliveries: Iterable[Delivery]) -> dict[str, Document]:
    """The type and reference of their events, by id. Raises PyMongoError."""
    ids = list({one.event_id for one in deliveries})
    found = store.events.find({"_id": {"$in": ids}}, {"type": 1, "reference": 1})
    return {event["_id"]: event async for event in found}
