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
from shared.mongo import Document

T = TypeVar("T", bound=msgspec.Struct)
R = TypeVar("R")

TRY_SECONDS = 5.0
DOCUMENT_BYTES_MAX = 8 * 2**20  # half of MongoDB's bound, so that a document can still grow

Explain: TypeAlias = Callable[[Sequence[T]], Awaitable[Sequence[R | None]]]


class _New(msgspec.Struct, Generic[T], frozen=True):
    thing: T
    raw: RawBSONDocument


class Inserts(Generic[T, R]):
    """See `Documents.insert`."""

    def __init__(
        self, replies: Replies, encode: Callable[[T], Document], explain: Explain[T, R] | None, limits: Limits
    ) -> None:
        self._collection = replies.collection
        self._replies = replies
        self._encode = encode
        self._explain = explain
        self._batches = Batches[_New[T], R | None](self._insert, name=f"insert {self._collection.name}", limits=limits)
        self.run = self._batches.run

    async def __call__(self, thing: T) -> R | None:
        document = {**self._encode(thing), "writer": ObjectId()}
        try:
            raw = RawBSONDocument(bson.encode(document))
        except ENCODING_ERRORS as error:
            raise InvalidError(f"{self._collection.name}: {type(error).__name__}: {error}") from None
        if len(raw.raw) > DOCUMENT_BYTES_MAX:
            raise InvalidError(f"{self._collection.name}: {len(raw.raw)} bytes are too many for a document")
        return await self._batches.submit(_New(thing, raw), size=len(raw.raw))

    async def _insert(self, callers: "Sequence[Caller[_New[T], R | None]]") -> None:
        codes: Mapping[int, Refusal] = {}
        try:
            with pymongo.timeout(TRY_SECONDS):
                await self._collection.insert_many([caller.item.raw for caller in callers], ordered=False)
        except PyMongoError as error:
            refused = refusals(error, len(callers))
            if refused is None:
                self._replies.undecided(callers, error, self._batches)
                return
            codes = refused
        duplicates = []
        for number, caller in enumerate(callers):
            if number not in codes:
                self._replies.counts.written.inc()
                caller.answer(None)
            elif codes[number].duplicate:
                self._replies.counts.duplicate.inc()
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
                ids = [caller.item.raw["_id"] for caller in callers]
                found = self._collection.find({"_id": {"$in": ids}}, {"_id": 1})
                there = {document["_id"] async for document in found}
                unknown = [caller for caller in callers if caller.item.raw["_id"] not in there]
                outcomes = await self._explain([caller.item.thing for caller in unknown]) if self._explain else ()
        except PyMongoError as error:
            self._replies.undecided(callers, error, self._batches)
            return
        for caller in callers:
            if caller.item.raw["_id"] in there:
                caller.answer(None)
        unexplained = []
        for caller, outcome in zip(unknown, outcomes or [None] * len(unknown), strict=True):
            if outcome is None:
                unexplained.append(caller)
            else:
                caller.answer(outcome)
        self._batches.again(unexplained)
