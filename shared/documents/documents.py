"""The documents of one collection, as callers see them."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from shared.batches import Limits
from shared.documents.changes import Changes, Decide, Verdict
from shared.documents.inserts import Explain, Inserts
from shared.documents.replies import Replies
from shared.mongo import Client, Collection, Document, to_document

T = TypeVar("T", bound=msgspec.Struct)
A = TypeVar("A")
R = TypeVar("R")

INSERT_LIMITS = Limits()
CHANGE_LIMITS = Limits(batch_max=256)


class Documents(Generic[T, R]):
    """The documents of one collection, each with `_id`, `version` and `writer`.

    `explain(things)` is asked, by majority reads, what stands in the way of inserts that met a duplicate: the outcome to
    answer with, or None to insert again. A document that is there under its own id is an insert that has succeeded already,
    and is never explained. C5
    """

    def __init__(
        self,
        client: Client,
        collection: Collection,
        kind: type[T],
        *,
        explain: Explain[T, R] | None = None,
        encode: Callable[[T], Document] = to_document,
        insert_limits: Limits = INSERT_LIMITS,
        change_limits: Limits = CHANGE_LIMITS,
    ) -> None:
        replies = Replies(collection)
        self._collection = collection
        self._kind = kind
        self._insert = Inserts[T, R](replies, encode, explain, insert_limits)
        self._change = Changes[T](client, replies, kind, encode, change_limits)

    async def insert(self, thing: T) -> R | None:
        """None once the document is stored; otherwise what `explain` found. Raises InvalidError, and what Batches.submit
        raises.
        """
        return await self._insert(thing)

    async def change(self, document_id: str, decide: Decide[T, A], *, read: Document | None = None) -> A:
        """The answer of `decide(document, now)`, once the change that goes with it is acknowledged by a majority. The
        document is None if there is none, `now` is the server's time of the read.

        `decide` may run several times, so it is pure, everything new in it (ids, times) is made before, and it recognises
        its own effect in the document and then answers as if it had just written it. C3, C4. `read` is the document as the
        caller has just read it, with the server's time of that in `read_at`; it is used for the first try.

        Raises TakenError, InvalidError, what `decide` raises, and what Batches.submit raises.
        """
        return await self._change(document_id, decide, read)

    async def read(self, document_id: str) -> T | None:
        """The document as a majority has it. None only if there is none, whatever failover has just been. Raises
        PyMongoError, and what Batches.submit raises. C9
        """
        document = await self._collection.find_one({"_id": document_id})
        if document is not None:
            return msgspec.convert(document, self._kind)
        return await self.change(document_id, lambda thing, _now: Verdict(thing, found=thing is not None))

    async def run(self) -> None:
        """Writes what is submitted until cancelled."""
        runs = [asyncio.create_task(self._insert.run()), asyncio.create_task(self._change.run())]
        try:
            await asyncio.wait(runs, return_when=asyncio.FIRST_COMPLETED)  # none ends by itself
        finally:
            for task in runs:
                task.cancel()
            await asyncio.gather(*runs, return_exceptions=True)
