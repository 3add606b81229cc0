"""What the verbs read and write together. Each verb's own writes are in the verb."""

from collections.abc import Mapping
from typing import Any

from shared.mongo import Client, Collection, Document
from shared.pages import older_than


class Store:
    """The collections of one payment_gateway database."""

    def __init__(self, client: Client, database: str) -> None:
        self.client = client
        self.database = client[database]
        self.charges = self.database["charges"]
        self.events = self.database["events"]
        self.webhook_endpoints = self.database["webhook_endpoints"]
        self.deliveries = self.database["deliveries"]
        self.reply_attempts = self.database["reply_attempts"]
        self.faults = self.database["faults"]
        self.clock = self.database["clock"]

    async def one(self, collection: Collection, merchant: str, document_id: str) -> Document | None:
        """Unless it was deleted."""
        return await collection.find_one({"_id": document_id, "merchant": merchant, "deleted_at": None})

    async def newest(
        self, collection: Collection, conditions: Mapping[str, Any], *, before: str | None, limit: int
    ) -> list[Document]:
        """The newest documents first, from just after the position `before`. Raises CursorError.

        By `created_at`, not by id alone: an event's id has the time of the charge that it is about.
        """
        position = older_than("created_at", before) if before else {}
        found = collection.find({**conditions, **position})
        return await found.sort([("created_at", -1), ("_id", -1)]).limit(limit).to_list()
