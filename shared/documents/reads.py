"""Reading documents by their ids: everything asked for while one read is under way goes into the next."""

from collections.abc import Sequence

from pymongo.errors import PyMongoError

from shared.batches import Batches, Caller, Limits
from shared.forward import forward
from shared.mongo import Collection, Document

# Dozens of documents cost little more of our CPU than one. They may be large, so a batch has fewer than a batch of writes.
READ_LIMITS = Limits(batch_max=64)


class Reads:
    """Reads documents of one collection. Each is as a majority has it after the caller asked."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._batches = Batches[str, Document | None](self._read, name=f"read {collection.name}", limits=READ_LIMITS)
        self.run = self._batches.run

    async def __call__(self, document_id: str) -> Document | None:
        """The document, or None if there is none. Raises PyMongoError, and what Batches.submit raises."""
        return await self._batches.submit(document_id)

    async def _read(self, callers: Sequence[Caller[str, Document | None]]) -> None:
        wanted = {"_id": {"$in": [*{caller.item for caller in callers}]}}
        try:
            async with forward(self._collection.database.client) as session:
                found = await self._collection.find(wanted, session=session).to_list()
        except PyMongoError as error:
            for caller in callers:
                caller.fail(error)
            return
        documents = {document["_id"]: document for document in found}
        for caller in callers:
            caller.answer(documents.get(caller.item))
