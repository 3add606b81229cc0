"""Looking up Idempotency-Keys in the documents of a collection that have them."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import msgspec
from bson import Int64, ObjectId

from shared.batches import UnresolvedDuplicateError
from shared.documents import TakenError
from shared.idempotency import Answer, Key, KeyReused
from shared.mongo import Collection, Document

TRIES_MAX = 20  # while a key belongs to another document, and nobody can read yet what was answered to it
PAUSE_SECONDS = 0.02

Outcome = TypeVar("Outcome")


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


async def change_once(
    collection: Collection,
    merchant: str,
    key: Key,
    change: Callable[[], Awaitable[Answer | KeyReused | Outcome]],
) -> Answer | KeyReused | Outcome:
    """What comes of `change`, which writes `key` into a document; or what is known of the key, if another document has it.
    A key is looked up before a refusal, too. Raises UnresolvedDuplicateError, PyMongoError, and what `change` raises. C5
    """
    for tries in range(1, TRIES_MAX + 1):
        try:
            outcome = await change()
        except TakenError:  # if it has expired there, it is free now
            if known := await known_key(collection, merchant, key):
                return known
            await asyncio.sleep(random.uniform(0, PAUSE_SECONDS * tries))  # noqa: S311 - jitter needs no secrecy
            continue
        if isinstance(outcome, Answer | KeyReused):
            return outcome
        return await known_key(collection, merchant, key) or outcome
    raise UnresolvedDuplicateError


async def _take_off(collection: Collection, document_id: str, entry: Document) -> None:
    """A total write: right for whatever the document has become since, so of two who take one key off one does. C3, C10"""
    this = {"value": entry["value"], "expires_at": entry["expires_at"]}
    expired = {"$expr": {"$lte": [entry["expires_at"], "$$NOW"]}}
    await collection.update_one(
        {"_id": document_id, "keys": {"$elemMatch": this}, **expired},
        {"$pull": {"keys": this}, "$inc": {"version": Int64(1)}, "$set": {"writer": ObjectId()}},
    )
