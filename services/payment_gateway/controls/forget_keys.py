"""Forgetting idempotency keys at once, as a day does: what a client's very late retry then does can be tried."""

from bson import ObjectId

from payment_gateway.store import Store
from shared.mongo import COUNTED


async def forget_keys(store: Store, merchant: str) -> None:
    """All keys of the merchant, and how often a reply to each went wrong. Raises PyMongoError. C3"""
    for collection in (store.charges, store.webhook_endpoints):
        await collection.update_many(
            {"merchant": merchant, "keys.value": {"$exists": True}},
            [{"$set": {"keys": {"$literal": []}, **COUNTED, "writer": {"$literal": ObjectId()}}}],
        )
    await store.reply_attempts.delete_many({"_id": {"$gte": f"{merchant}:", "$lt": f"{merchant};"}})
