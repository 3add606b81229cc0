"""Reads and writes endpoints for several verbs."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from bson import Int64, ObjectId
from pymongo.errors import DuplicateKeyError

from payment_gateway.reads import page
from payment_gateway.store import Store
from payment_gateway.webhooks.endpoint import ENDPOINTS_MAX, Endpoint, PlaceTaken
from shared.documents import Documents
from shared.documents.keys import known_keys
from shared.forward import read_up_to_date
from shared.idempotency import Answer, KeyReused
from shared.mongo import COUNTED, Collection, Document, to_document
from shared.pages import Found, Paging

StoredEndpoints = Documents[Endpoint, Answer | KeyReused | PlaceTaken]


def stored_endpoints(store: Store) -> StoredEndpoints:
    """The endpoints as Documents. An insert can meet another endpoint with its Idempotency-Key, or in its place."""

    async def explain(endpoints: Sequence[Endpoint]) -> Sequence[Answer | KeyReused | PlaceTaken | None]:
        known = await known_keys(store.webhook_endpoints, [(one.merchant, one.keys[0]) for one in endpoints])
        merchants, places = [
            list({*some}) for some in zip(*((one.merchant, one.place) for one in endpoints), strict=True)
        ]
        there = store.webhook_endpoints.find({"merchant": {"$in": merchants}, "place": {"$in": places}})
        taken = {(one["merchant"], one["place"]) async for one in there}
        return [
            key or (PlaceTaken() if (one.merchant, one.place) in taken else None)
            for key, one in zip(known, endpoints, strict=True)
        ]

    return Documents(store.webhook_endpoints, Endpoint, explain=explain)


async def free_place(store: Store, merchant: str, *, new: bool) -> int | None:
    """A place that no endpoint of the merchant has, or None. A `new` endpoint gets none if the merchant has ENDPOINTS_MAX,
    which includes endpoints without a place yet. Raises PyMongoError.
    """
    found = await store.webhook_endpoints.find({"merchant": merchant, "deleted_at": None}, {"place": 1}).to_list()
    taken = {one.get("place") for one in found}
    free = [place for place in range(ENDPOINTS_MAX) if place not in taken]
    if not free or (new and len(found) >= ENDPOINTS_MAX):
        return None
    return random.choice(free)  # noqa: S311 - so that processes that look at once seldom choose the same


async def find_endpoints(store: Store, conditions: Mapping[str, Any]) -> list[Endpoint]:
    """The endpoints that match and are not deleted, none missing that somebody has added before. Raises PyMongoError."""
    wanted = {**conditions, "deleted_at": None}
    found = await read_up_to_date(
        store.database, lambda session: store.webhook_endpoints.find(wanted, session=session).to_list()
    )
    return [msgspec.convert(document, Endpoint) for document in found]


async def page_of_endpoints(store: Store, merchant: str, paging: Paging) -> Found[Document]:
    """A page of a merchant's endpoints that are not deleted, newest first. Raises CursorError, PyMongoError."""
    return await page(store, store.webhook_endpoints, {"merchant": merchant, "deleted_at": {"$eq": None}}, paging)


async def ensure_endpoint(collection: Collection, endpoint: Endpoint) -> None:
    """Adds it if it is missing. An existing one stays as it is, above all its secrets; a deleted one comes back as a new
    one. C23: two gateways make one endpoint.
    """
    document = {**to_document(endpoint), "writer": ObjectId()}
    await collection.update_one({"_id": endpoint.id}, {"$setOnInsert": document}, upsert=True)
    stay = {"_id", "keys", "announce", "due_at", "generation", "version"}
    anew = {name: value for name, value in document.items() if name not in stay}
    await collection.update_one(
        {"_id": endpoint.id, "deleted_at": {"$ne": None}},
        {"$set": anew, "$inc": {"generation": 1, "version": Int64(1)}},
    )


async def give_places(store: Store) -> None:
    """Gives a free place to each endpoint without one: those of an earlier version, and that of the environment. Several
    replicas may do so at once. Raises PyMongoError.
    """
    without = {"place": {"$exists": False}, "deleted_at": None}
    async for one in store.webhook_endpoints.find(without, {"merchant": 1}):
        while (place := await free_place(store, one["merchant"], new=False)) is not None:
            change = {"place": place, **COUNTED, "writer": {"$literal": ObjectId()}}
            try:
                await store.webhook_endpoints.update_one({"_id": one["_id"], **without}, [{"$set": change}])
                break
            except DuplicateKeyError:
                continue
