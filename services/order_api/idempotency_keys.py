"""Keys in the orders that were made or changed under them: found by their index, and taken off when they have expired."""

from collections.abc import Iterable
from datetime import datetime

import msgspec
from bson import Int64, ObjectId

from shared.idempotency import Key
from shared.mongo import Collection, Document


class Held(msgspec.Struct, frozen=True):
    """A key, and the order that has it. `now` is the server's time of the read."""

    order_id: str
    merchant: str
    key: Key
    now: datetime

    @property
    def expired(self) -> bool:
        return self.key.expires_at <= self.now


async def keys_by_value(orders: Collection, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Held]:
    """The entries of these keys, each a merchant and a value, as a majority has them. Raises PyMongoError."""
    values: dict[str, list[str]] = {}
    for merchant, value in wanted:
        values.setdefault(merchant, []).append(value)
    either = [{"merchant": merchant, "keys.value": {"$in": some}} for merchant, some in values.items()]
    stages: list[Document] = [
        {"$match": {"$or": either}},
        {"$project": {"_id": 0, "order_id": "$_id", "merchant": 1, "key": "$keys", "now": "$$NOW"}},
        {"$unwind": "$key"},
        {"$match": {"key.value": {"$in": [one for some in values.values() for one in some]}}},
    ]
    held = [msgspec.convert(one, Held) async for one in await orders.aggregate(stages)]
    return {(one.merchant, one.key.value): one for one in held}


async def forget_expired(orders: Collection, held: Held) -> None:
    """Takes an expired key off its order, if it is still there and has expired by the server's clock. Right for any order
    that it matches as it is then, so it compares no version. Raises PyMongoError. C3, C10
    """
    entry = {"value": held.key.value, "expires_at": held.key.expires_at}
    await orders.update_one(
        {"_id": held.order_id, "keys": {"$elemMatch": entry}, "$expr": {"$lte": [held.key.expires_at, "$$NOW"]}},
        {"$pull": {"keys": entry}, "$inc": {"version": Int64(1)}, "$set": {"writer": ObjectId()}},
    )
