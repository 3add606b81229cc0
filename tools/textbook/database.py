"""The collections, and how they are written."""

from collections.abc import Awaitable, Callable
from typing import Any

from pymongo import AsyncMongoClient, IndexModel
from pymongo.asynchronous.client_session import AsyncClientSession

KEYS_KEPT_SECONDS = 24 * 3600


class Database:
    def __init__(self, uri: str, name: str) -> None:
        self.client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
            uri, w="majority", journal=True, readConcernLevel="majority", tz_aware=True
        )
        database = self.client[name]
        self.keys, self.orders = database["idempotency_keys"], database["orders"]
        self.outbox, self.events = database["outbox"], database["events"]

    async def prepare(self) -> None:
        """Makes the indexes, and with them the collections: a transaction should not have to."""
        await self.keys.create_indexes([IndexModel(["created_at"], expireAfterSeconds=KEYS_KEPT_SECONDS)])
        await self.orders.create_indexes([IndexModel(["order_number"], unique=True)])
        await self.outbox.create_indexes([IndexModel(["state", "due_at"])])
        await self.events.create_indexes([IndexModel(["order_id"])])

    async def in_transaction(self, write: Callable[[AsyncClientSession], Awaitable[None]]) -> None:
        """Runs `write`, again if another transaction was in its way. Raises DuplicateKeyError and PyMongoError."""
        async with self.client.start_session() as session:
            await session.with_transaction(write)
