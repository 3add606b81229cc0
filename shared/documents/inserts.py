"""Storing new documents, many in one command."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeAlias, TypeVar

import bson
import msgspec
import pymongo
from bson import ObjectId
from bson.raw_bson import RawBSONDocument
from pymongo.errors import PyMongoError

from shared.batches import Batches, Caller, Limits, UnresolvedDuplicateError
from shared.documents.replies import ENCODING_ERRORS, InvalidError, Refusal, Replies, refusals
from shared.forward import forward
from shared.mongo import Collection, to_document

T = TypeVar("T", bound=msgspec.Struct)
R = TypeVar("R")

INSERT_LIMITS = Limits()
TRY_SECONDS = 5.0
DOCUMENT_BYTES_MAX = 8 * 2**20  # half of MongoDB's bound, so that a document can still grow

Explain: TypeAlias = Callable[[Sequence[T]], Awaitable[Sequence[R | None]]]


class _New(msgspec.Struct, Generic[T], frozen=True):
    thing: T
    raw: RawBSONDocument


class Inserts(Generic[T, R]):
    """When an insert meets a duplicate, `explain(things)` finds out by majority reads which document stands in the way. It
    returns the outcome to answer with, or None to insert again. If the document has our own id, the insert has already
    succeeded; where ids come from outside (not `ids_are_ours`), only if it is the very one sent. C5: one key is one order.
    """

    def __init__(
        self,
        collection: Collection,
        *,
        explain: Explain[T, R] | None = None,
        limits: Limits = INSERT_LIMITS,
        ids_are_ours: bool = True,
    ) -> None:
        self._collection = collection
        self._replies = Replies(collection)
        self._explain = explain
        self._ids_are_ours = ids_are_ours
        self._batches = Batches[_New[T], R | None](self._insert, name=f"insert {self._collection.name}", limits=limits)
        self.run = self._batches.run

    async def __call__(self, thing: T) -> R | None:
        """Returns None once it is stored, or what `explain` found. Raises InvalidError, and what Batches.submit raises."""
        document = {**to_document(thing), "writer": ObjectId()}
        try:
            raw = RawBSONDocument(bson.encode(document))
        except ENCODING_ERRORS as error:
            raise InvalidError(f"{self._collection.name}: {type(error).__name__}: {error}") from None
        if len(raw.raw) > DOCUMENT_BYTES_MAX:
            raise InvalidError(f"{self._collection.name}: {len(raw.raw)} bytes are too many for a document")
        return await self._batches.submit(_New(thing, raw), size=len(raw.raw))

    async def _insert(self, callers: "Sequence[Caller[_New[T], R | None]]") -> None:
        codes: Mapping[int, Refusal] = {}
        documents = [caller.item.raw for caller in callers]
        try:
            with pymongo.timeout(TRY_SECONDS):
                async with forward(self._collection.database.client) as session:
                    await self._collection.insert_many(documents, ordered=False, session=session)
        except PyMongoError as error:
            refused = refusals(error, documents)
            if refused is None:
                self._replies.undecided(callers, error, self._batches)
                return
            codes = refused
        duplicates = []
        for number, caller in enumerate(callers):
            if number not in codes:
                self._replies.counts["written"].inc()
                caller.answer(None)
            elif codes[number].duplicate:
                self._replies.counts["duplicate"].inc()
                duplicates.append(caller)
            else:
                self._replies.refuse(caller, InvalidError(f"{self._collection.name}: {codes[number].reason}"))
        if duplicates:
            await self._explain_all(duplicates)

    async def _explain_all(self, callers: "Sequence[Caller[_New[T], R | None]]") -> None:
        for caller in callers:
            caller.on_deadline = UnresolvedDuplicateError()
        try:
            with pymongo.timeout(TRY_SECONDS):
                writers = await self._writers(callers)
                unknown = [caller for caller in callers if not self._is_stored(caller.item.raw, writers)]
                things = [caller.item.thing for caller in unknown]
                outcomes = await self._explain(things) if self._explain and things else [None] * len(things)
        except PyMongoError as error:
            self._replies.undecided(callers, error, self._batches)
            return
        explained = dict(zip(unknown, outcomes, strict=True))
        unexplained = {caller for caller, outcome in explained.items() if outcome is None}
        for caller in callers:
            if caller not in unexplained:
                caller.answer(explained.get(caller))
        self._batches.again(unexplained)

    async def _writers(self, callers: "Sequence[Caller[_New[T], R | None]]") -> dict[str, ObjectId | None]:
        """The writer of each document that is there under its caller's id. An id of ours is new at the first try, so it is
        looked for only later: MongoDB itself recognises a write that PyMongo repeats.
        """
        ids = [caller.item.raw["_id"] for caller in callers if caller.tries or not self._ids_are_ours]
        if not ids:
            return {}
        found = self._collection.find({"_id": {"$in": ids}}, {"writer": 1})
        return {document["_id"]: document.get("writer") async for document in found}

    def _is_stored(self, raw: RawBSONDocument, writers: Mapping[str, ObjectId | None]) -> bool:
        return raw["_id"] in writers and (self._ids_are_ours or writers[raw["_id"]] == raw["writer"])
