"""One database for many tests. To make and drop one took longer than what most of them do with it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pymongo

from shared.mongo import Client, Database

EMPTY_SECONDS = 30  # some tests leave tens of thousands of documents
EnsureSchema = Callable[..., Awaitable[None]]


class KeptDatabase:
    """It has the schema of a service, and no documents when a test begins."""

    def __init__(self, database: Database, ensure_schema: EnsureSchema) -> None:
        self.name = database.name
        self._database = database
        self._ensure_schema = ensure_schema
        self._schema: dict[str, Any] = {}

    async def make(self) -> None:
        await self._ensure_schema(self._database, watched=True)
        self._schema = await self._schema_found()

    async def empty(self) -> None:
        """Made anew if a test has left another schema than it found."""
        with pymongo.timeout(EMPTY_SECONDS):
            if await self._schema_found() == self._schema:
                await asyncio.gather(*(self._database[name].delete_many({}) for name in self._schema))
            else:
                await self._database.client.drop_database(self.name)
                await self.make()

    async def _schema_found(self) -> dict[str, Any]:
        """The options and indexes of each collection."""
        options = {each["name"]: each["options"] async for each in await self._database.list_collections()}
        indexes = await asyncio.gather(*(self._indexes(name) for name in options))
        return dict(zip(options, zip(options.values(), indexes, strict=True), strict=True))

    async def _indexes(self, collection: str) -> list[Any]:
        return [dict(index) async for index in await self._database[collection].list_indexes()]


@asynccontextmanager
async def kept_database(mongo: Client, ensure_schema: EnsureSchema) -> AsyncIterator[KeptDatabase]:
    kept = KeptDatabase(mongo[f"test_{uuid4().hex[:16]}"], ensure_schema)
    await kept.make()
    yield kept
    await mongo.drop_database(kept.name)
