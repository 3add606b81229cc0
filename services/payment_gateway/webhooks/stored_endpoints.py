"""Endpoints as several verbs read and write them."""

from collections.abc import Mapping
from typing import Any

import msgspec
from pymongo.asynchronous.client_session import AsyncClientSession

from payment_gateway.webhooks.endpoint import Endpoint
from shared.mongo import Collection, to_document


async def find_endpoints(
    collection: Collection, conditions: Mapping[str, Any], session: AsyncClientSession | None = None
) -> list[Endpoint]:
    return [msgspec.convert(document, Endpoint) async for document in collection.find(conditions, session=session)]


async def ensure_endpoint(collection: Collection, endpoint: Endpoint) -> None:
    """Adds it unless it is there. One that is there stays as it is, its secrets above all. C23"""
    await collection.update_one({"_id": endpoint.id}, {"$setOnInsert": to_document(endpoint)}, upsert=True)
