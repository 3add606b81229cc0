"""An `early` reply waits here: a merchant hears how its charge or refund ended before the reply that creates it."""

from payment_gateway.store import Store
from payment_gateway.webhooks.event import event_ids


async def has_told(store: Store, object_id: str) -> bool:
    """Whether each delivery of what happened to a charge or refund has been tried once. Raises PyMongoError."""
    events = await store.events.find({"_id": {"$in": event_ids(object_id)}}, {"merchant": 1}).to_list()
    if not events:
        return False
    told = {"merchant": events[0]["merchant"], "event_id": {"$in": [event["_id"] for event in events]}}
    untried = {**told, "state": "pending", "attempts": []}
    return await store.deliveries.find_one(untried, {"_id": 1}) is None
