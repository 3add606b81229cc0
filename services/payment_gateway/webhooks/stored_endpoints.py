"""Endpoints as several verbs read and write them."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from bson import Int64, ObjectId

from payment_gateway.store import Store
from payment_gateway.webhooks.endpoint import Endpoint
from shared.documents import Documents
from shared.documents.keys import known_keys
from shared.idempotency import Answer, KeyReused
from shared.mongo import Collection, to_document

StoredEndpoints = Documents[Endpoint, Answer | KeyReused]


def stored_endpoints(store: Store) -> StoredEndpoints:
    """What stands in the way of a new endpoint is another with its Idempotency-Key."""

    async def explain(endpoints: Sequence[Endpoint]) -> Sequence[Answer | KeyReused | None]:
        return await known_keys(store.webhook_endpoints, [(one.merchant, one.keys[0]) for one in endpoints])

    return Documents(store.webhook_endpoints, Endpoint, explain=explain)


async def find_endpoints(store: Store, conditions: Mapping[str, Any]) -> list[Endpoint]:
    """Those that are not deleted."""
    found = store.webhook_endpoints.find({**conditions, "deleted_at": None})
    return [msgspec.convert(document, Endpoint) async for document in found]


async def ensure_endpoint(collection: Collection, endpoint: Endpoint) -> None:
    """Adds it unless it is there. One that is there stays as it is, its secrets above all; one that was deleted comes back
    as a new one. C23
    """
    document = {**to_document(endpoint), "writer": ObjectId()}
    await collection.update_one({"_id": endpoint.id}, {"$setOnInsert": document}, upsert=True)
    stay = {"_id", "keys", "announce", "due_at", "generation", "version"}
    anew = {name: value for name, value in document.items() if name not in stay}
    await collection.update_one(
        {"_id": endpoint.id, "deleted_at": {"$ne": None}},
        {"$set": anew, "$inc": {"generation": 1, "version": Int64(1)}},
    )
