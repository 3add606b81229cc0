"""An `early` reply waits here, so that the webhook about a charge or refund arrives before the reply that creates it."""

from payment_gateway.store import Store
from payment_gateway.webhooks.event import event_ids


async def has_told(store: Store, object_id: str) -> bool:
    """Whether a charge or refund has ended, and each delivery of that event has been tried. Raises PyMongoError.

    C23: the mark is read first and the deliveries after it; while there is a mark, some may still be missing.
    """
    field = "_id" if object_id.startswith("ch_") else "refunds.id"
    charge = await store.charges.find_one(
        {field: object_id}, {"merchant": 1, "status": 1, "refunds.id": 1, "refunds.status": 1, "announce.object": 1}
    )
    if charge is None:
        return False
    parts = {charge["_id"]: charge["status"], **{one["id"]: one["status"] for one in charge["refunds"]}}
    if parts[object_id] == "pending" or any(mark["object"] == object_id for mark in charge["announce"]):
        return False
    of_it = {"merchant": charge["merchant"], "event_id": {"$in": event_ids(object_id)}}
    return await store.deliveries.find_one({**of_it, "state": "pending", "attempts": []}, {"_id": 1}) is None
