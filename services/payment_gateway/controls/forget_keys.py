"""Forgets idempotency keys at once, as if a day had passed. So a client's very late retry can be tried."""

from bson import ObjectId

from payment_gateway.store import Store
from shared.mongo import COUNTED


async def forget_keys(store: Store, merchant: str) -> None:
    """Forgets the merchant's keys, and how often replies to them went wrong. Raises PyMongoError. C3: a total write."""
    for collection in (store.charges, store.webhook_endpoints):
        await collection.update_many(
            {"merchant": merchant, "keys.value": {"$exists": True}},
            [{"$set": {"keys": {"$literal": []}, **COUNTED, "writer": {"$literal": ObjectId()}}}],
        )
    await store.reply_attempts.delete_many({"_id": {"$gte": f"{merchant}:", "$lt": f"{merchant};"}})
