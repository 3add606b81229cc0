"""The Idempotency-Keys in documents: looked up by their index, and taken off once they have expired.

C5: one key is one order. C10: an expired key counts for nothing wherever it is read, so no answer depends on whether it was
taken off. There is no TTL index, because it would delete the documents.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec
from bson import ObjectId
from pymongo.errors import PyMongoError

from shared.batches import UnresolvedDuplicateError
from shared.documents.replies import TakenError
from shared.idempotency import TTL, Answer, Key, KeyedRequest, KeyReused
from shared.ids import first_id
from shared.mongo import COUNTED, Collection, Document, count_error, describe
from shared.not_found import NotFound
from shared.telemetry import log
from shared.times import utc_now

TRIES_MAX = 20  # while a key belongs to another document, and nobody can read yet what was answered to it
PAUSE_SECONDS = 0.02
EVERY_SECONDS = 3600.0
FIRST_SECONDS = 60.0  # after a start: the process has other work first
REACH = timedelta(minutes=75)  # a little longer than EVERY_SECONDS, so that no document is skipped
AT_ONCE = 1000

Outcome = TypeVar("Outcome")


async def change_once(
    collection: Collection,
    merchant: str,
    request: KeyedRequest,
    change: Callable[[], Awaitable[Answer | KeyReused | Outcome]],
) -> Answer | KeyReused | Outcome:
    """Returns the result of `change`, which writes the key of `request` into a document. If another document has the key,
    returns the answer stored there. The key is looked up before a refusal too (C5: one key is one order). Raises
    UnresolvedDuplicateError, PyMongoError, and what `change` raises.
    """
    for tries in range(1, TRIES_MAX + 1):
        try:
            outcome = await change()
        except TakenError:  # if it has expired there, it is free now
            if known := await known_key(collection, merchant, request):
                return known
            await asyncio.sleep(random.uniform(0, PAUSE_SECONDS * tries))  # noqa: S311 - jitter needs no secrecy
            continue
        if isinstance(outcome, Answer | KeyReused | NotFound):
            return outcome
        return await known_key(collection, merchant, request) or outcome
    raise UnresolvedDuplicateError


async def known_key(collection: Collection, merchant: str, request: KeyedRequest) -> Answer | KeyReused | None:
    """Does for one request what `known_keys` does for several."""
    [known] = await known_keys(collection, [(merchant, request)])
    return known


async def known_keys(
    collection: Collection, asked: Sequence[tuple[str, KeyedRequest]]
) -> list[Answer | KeyReused | None]:
    """The answer to each merchant's request; None if its key is free, or had expired and is now off. Raises PyMongoError."""
    if not asked:
        return []
    values: dict[str, list[str]] = {}
    for merchant, request in asked:
        values.setdefault(merchant, []).append(request.value)
    either = [{"merchant": merchant, "keys.value": {"$in": some}} for merchant, some in values.items()]
    stages: list[Document] = [
        {"$match": {"$or": either}},
        {"$project": {"merchant": 1, "key": "$keys", "now": "$$NOW"}},
        {"$unwind": "$key"},
        {"$match": {"key.value": {"$in": [request.value for _, request in asked]}}},
    ]
    found = [msgspec.convert(one, _Found) async for one in await collection.aggregate(stages)]
    if expired := [one.id for one in found if one.key.expires_at <= one.now]:
        await forget_expired(collection, expired)
    live = {(one.merchant, one.key.value): one.key for one in found if one.key.expires_at > one.now}
    known = [(live.get((merchant, request.value)), request) for merchant, request in asked]
    return [key.replayed_for(request) if key else None for key, request in known]


class _Found(msgspec.Struct, frozen=True):
    """A key and the document that has it. `now` is the server's time of the read."""

    id: str = msgspec.field(name="_id")
    merchant: str
    key: Key
    now: datetime


async def forget_expired(collection: Collection, ids: Sequence[str]) -> int:
    """Takes expired keys off these documents, by the server's clock, and returns how many documents it changed. It is right
    for any state of them (C3: two writers lose nothing), and one of two takers wins (C10). Raises PyMongoError.
    """
    has_expired = {"$lte": ["$$key.expires_at", "$$NOW"]}
    some = {"$anyElementTrue": {"$map": {"input": "$keys", "as": "key", "in": has_expired}}}
    live = {"$filter": {"input": "$keys", "as": "key", "cond": {"$not": has_expired}}}
    result = await collection.update_many(
        {"_id": {"$in": ids}, "$expr": some},
        [{"$set": {"keys": live, **COUNTED, "writer": {"$literal": ObjectId()}}}],
    )
    return result.modified_count


class ForgetKeys:
    """Takes expired keys off the documents that they made, every hour, so that documents and the index of keys stay small.
    It finds the documents by their ids, which begin with `prefix` and sort by time. Keys that a document got later go with
    its next write. C10: no answer depends on it.
    """

    def __init__(self, collection: Collection, prefix: str, *, idempotency_ttl: timedelta = TTL) -> None:
        self._collection = collection
        self._prefix = prefix
        self._ttl = idempotency_ttl

    async def run(self) -> None:
        """Works until cancelled. Every replica does so; doing it twice is harmless."""
        await asyncio.sleep(FIRST_SECONDS)
        while True:
            try:
                if forgotten := await self.run_once(utc_now()):
                    log.info("forgot expired keys", collection=self._collection.name, documents=forgotten)
            except PyMongoError as error:
                count_error(error)
                log.warning("expired keys are kept for now", reason=describe(error))
            await asyncio.sleep(EVERY_SECONDS)

    async def run_once(self, now: datetime) -> int:
        """Returns from how many documents it took keys. Raises PyMongoError."""
        ended = now - self._ttl
        after, before = first_id(self._prefix, ended - REACH), first_id(self._prefix, ended)
        forgotten = 0
        while True:
            found = self._collection.find({"_id": {"$gt": after, "$lt": before}}, {"_id": 1}).sort("_id").limit(AT_ONCE)
            ids = [document["_id"] async for document in found]
            if not ids:
                return forgotten
            forgotten += await forget_expired(self._collection, ids)
            after = ids[-1]
