"""Looking up Idempotency-Keys in the documents of a collection that have them."""

from collections.abc import Sequence
from typing import Any

import msgspec
from bson import Int64, ObjectId

from shared.idempotency import Answer, Key, KeyReused
from shared.mongo import Collection, Document


async def known_keys(collection: Collection, asked: Sequence[tuple[str, Key]]) -> list[Answer | KeyReused | None]:
    """What each request is answered, given the merchant and the entry that it would make; None if its key is free. An
    entry that has expired by the server's clock is taken off. Raises PyMongoError. C10
    """
    if not asked:
        return []
    wanted = [{"merchant": merchant, "keys.value": key.value} for merchant, key in asked]
    values = {"$literal": [key.value for _, key in asked]}
    stages: list[dict[str, Any]] = [
        {"$match": {"$or": wanted}},
        {
            "$project": {
                "merchant": 1,
                "keys": {"$filter": {"input": "$keys", "cond": {"$in": ["$$this.value", values]}}},
                "read_at": "$$NOW",
            }
        },
    ]
    found = await (await collection.aggregate(stages)).to_list()
    entries = {(one["merchant"], key["value"]): (one, key) for one in found for key in one["keys"]}
    answers: list[Answer | KeyReused | None] = []
    for merchant, key in asked:
        document, entry = entries.get((merchant, key.value), (None, None))
        if document is None or entry is None:
            answers.append(None)
        elif entry["expires_at"] <= document["read_at"]:
            await _take_off(collection, document["_id"], entry)
            answers.append(None)
        else:
            answers.append(msgspec.convert(entry, Key).replayed_for(key))
    return answers


async def known_key(collection: Collection, merchant: str, key: Key) -> Answer | KeyReused | None:
    """The same for one request."""
    [known] = await known_keys(collection, [(merchant, key)])
    return known


async def _take_off(collection: Collection, document_id: str, entry: Document) -> None:
    """A total write: right for whatever the document has become since, so of two who take one key off one does. C3, C10"""
    this = {"value": entry["value"], "expires_at": entry["expires_at"]}
    expired = {"$expr": {"$lte": [entry["expires_at"], "$$NOW"]}}
    await collection.update_one(
        {"_id": document_id, "keys": {"$elemMatch": this}, **expired},
        {"$pull": {"keys": this}, "$inc": {"version": Int64(1)}, "$set": {"writer": ObjectId()}},
    )
