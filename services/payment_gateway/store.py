"""The collections, and the reads that several verbs share. Each verb's own writes are in the verb."""

from collections.abc import Iterable, Mapping
from typing import Any

from pymongo.asynchronous.client_session import AsyncClientSession

from shared.forward import read_up_to_date
from shared.mongo import Client, Collection, Document
from shared.not_found import NotFound
from shared.page_reader import PageReader


class Store:
    """The collections of one payment_gateway database."""

    def __init__(self, client: Client, database: str) -> None:
        self.client = client
        self.database = client[database]
        self.charges = self.database["charges"]
        self.events = self.database["events"]
        self.webhook_endpoints = self.database["webhook_endpoints"]
        self.deliveries = self.database["deliveries"]
        self.resends = self.database["resends"]
        self.reply_attempts = self.database["reply_attempts"]
        self.faults = self.database["faults"]
        self.clock = self.database["clock"]
        self.read_page = PageReader()

    async def one(self, collection: Collection, merchant: str, document_id: str) -> Document | NotFound:
        """The document of this merchant, unless it was deleted. NotFound names its kind after the collection, and is not
        said of what was added before. C9. Raises PyMongoError.
        """
        wanted = {"_id": document_id, "merchant": merchant, "deleted_at": None}
        found = await read_up_to_date(self.database, lambda session: collection.find_one(wanted, session=session))
        kind = collection.name.replace("ies", "y").removesuffix("s").replace("_", " ")
        return NotFound(kind) if found is None else found

    async def by_id(self, collection: Collection, ids: Iterable[str]) -> dict[str, Document]:
        """The documents that are there, by their ids. None is missing that was added before. C9. Raises PyMongoError."""
        wanted = {"_id": {"$in": [*ids]}}
        found = await read_up_to_date(self.database, lambda session: collection.find(wanted, session=session).to_list())
        return {document["_id"]: document for document in found}

    async def read(self, collection: Collection, *stages: Mapping[str, Any]) -> list[Document]:
        """As the function `read`, but none is missing that was added before. C9. Raises PyMongoError."""
        return await read_up_to_date(self.database, lambda session: read(collection, *stages, session=session))


READ_AT = {"$set": {"read_at": "$$NOW"}}


async def read(
    collection: Collection, *stages: Mapping[str, Any], session: AsyncClientSession | None = None
) -> list[Document]:
    """Runs an aggregation and adds the server's time as `read_at`. Raises PyMongoError."""
    return await (await collection.aggregate([*stages, READ_AT], session=session)).to_list()
