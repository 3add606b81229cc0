"""Changing documents: read, decide, write if nobody else has written meanwhile; many documents share each command."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

import msgspec
import pymongo
from bson import Int64, ObjectId
from pymongo import UpdateMany, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import PyMongoError

from shared.batches import Batches, Caller, Limits, answered_within
from shared.documents.paths import update_between
from shared.documents.reads import Reads
from shared.documents.replies import ENCODING_ERRORS, InvalidError, Refusal, Replies, TakenError, refusals
from shared.forward import forward, pass_barrier
from shared.mongo import BARRIERS, Collection, Document, to_document

T = TypeVar("T", bound=msgspec.Struct)
A = TypeVar("A")

CHANGE_LIMITS = Limits(batch_max=256, batches_in_flight=1)  # changes that arrive meanwhile share one command
TRY_SECONDS = 5.0


class Verdict(msgspec.Struct, Generic[T, A], frozen=True):
    """The decision about one document. The caller gets `answer`; `after` is the document to write, or None to write nothing.

    `found` says that the answer rests on something that was read, such as a replay. Any other answer that writes nothing
    rests on an absence, and is given only after a second read. C9: no failover takes an answer back.
    """

    answer: A
    after: T | None = None
    found: bool = False


Decide: TypeAlias = Callable[[T | None, datetime | None], Verdict[T, A]]


class _Change(msgspec.Struct, Generic[T], frozen=True):
    document_id: str
    decide: Callable[[T | None, datetime | None], Verdict[T, Any]]
    read: Callable[[], Document | None]
    written: Callable[[T], None] | None


@dataclass(eq=False)
class _Fold(Generic[T]):
    """All decisions of one batch about one document, and the one write that they become."""

    document_id: str
    before: T | None
    after: T | None = None
    rests_on_absence: bool = False
    answers: dict[Caller[_Change[T], Any], Any] = field(default_factory=dict)

    def answer(self) -> None:
        for caller, answer in self.answers.items():
            caller.answer(answer)

    def tell(self) -> None:
        """Tells every caller what was written."""
        assert self.before is not None
        assert self.after is not None
        version: int = self.before.version + 1  # type: ignore[attr-defined]  # every kind has it
        for caller in self.answers:
            if caller.item.written is not None:
                caller.item.written(msgspec.structs.replace(self.after, version=version))


class _Group(NamedTuple):
    ids: list[str]
    version: int
    update: Document

    @property
    def statement(self) -> UpdateOne | UpdateMany:
        if len(self.ids) == 1:
            return UpdateOne({"_id": self.ids[0], "version": Int64(self.version)}, self.update)
        return UpdateMany({"_id": {"$in": self.ids}, "version": Int64(self.version)}, self.update)


class Changes(Generic[T]):
    """Changes of the documents of one collection, one write in flight a document."""

    def __init__(self, collection: Collection, kind: type[T], *, limits: Limits = CHANGE_LIMITS) -> None:
        self._collection = collection
        self._barriers = collection.database[BARRIERS]
        self._replies = Replies(collection)
        self._kind = kind
        self._batches = Batches[_Change[T], Any](self._change, name=f"change {self._collection.name}", limits=limits)
        self._read = Reads(collection)

    async def run(self) -> None:
        """Works until cancelled."""
        await asyncio.gather(self._batches.run(), self._read.run())

    async def __call__(
        self,
        document_id: str,
        decide: Decide[T, A],
        *,
        read: Document | Callable[[], Document | None] | None = None,
        written: Callable[[T], None] | None = None,
        patience: float = 0,
    ) -> A:
        """Returns the answer of `decide(document, now)`, once a majority has acknowledged its change. The document is None
        if there is none; `now` is the server's time of the read.

        `decide` may run several times. So it is pure, its new ids and times are made beforehand, and if it finds its own
        effect in the document it answers as if it had just written it (C3: two writers lose nothing; C4: a second run
        answers the same). `read` is the document as the caller has just read it, with the server's time in `read_at`, or a
        function that returns it; the first try uses it. `written` is called with the document as it was written, which may
        hold other decisions too. Batches.submit explains `patience`.

        Raises TakenError, InvalidError, what `decide` raises, and what Batches.submit raises.
        """
        change = _Change(document_id, decide, read if callable(read) else lambda: read, written)
        answer: A = await self._batches.submit(change, key=document_id, patience=patience)
        return answer

    async def read(self, document_id: str) -> T | None:
        """Reads the document as a majority has it. None only if there is none, even after a failover. Raises PyMongoError,
        and what Batches.submit raises. C9: no failover takes an answer back.
        """
        async with answered_within():
            if (document := await self._read(document_id)) is not None:
                return msgspec.convert(document, self._kind)
            return await self(document_id, lambda thing, _now: Verdict(thing, found=thing is not None))

    async def _change(self, callers: "Sequence[Caller[_Change[T], Any]]") -> None:
        of: dict[str, list[Caller[_Change[T], Any]]] = {}
        for caller in callers:
            of.setdefault(caller.item.document_id, []).append(caller)
        try:
            with pymongo.timeout(TRY_SECONDS):
                given = {
                    document_id: read for document_id, them in of.items() if (read := _read_by_all(them)) is not None
                }
                documents = {**await self._documents([one for one in of if one not in given]), **given}
                folds = [self._fold(document_id, documents.get(document_id), them) for document_id, them in of.items()]
                # A document that a caller had read may be old. Only a write, which compares versions, may rest on it.
                of_old = {fold.document_id for fold in folds if fold.after is None} & given.keys()
                if unsure := [one.document_id for one in folds if one.rests_on_absence or one.document_id in of_old]:
                    confirmed = await self._confirmed(unsure)
                    anew = {one: self._fold(one, confirmed.get(one), of[one]) for one in unsure}
                    folds = [anew.get(fold.document_id, fold) for fold in folds]
                for fold in folds:
                    if fold.after is None:
                        fold.answer()
                if writing := [fold for fold in folds if fold.after is not None]:
                    await self._write(writing)
        except PyMongoError as error:
            self._replies.undecided(callers, error, self._batches)

    async def _documents(self, ids: Sequence[str], session: AsyncClientSession | None = None) -> dict[str, Document]:
        if not ids:
            return {}
        stages: list[Mapping[str, Any]] = [{"$match": {"_id": {"$in": ids}}}, {"$set": {"read_at": "$$NOW"}}]
        found = await self._collection.aggregate(stages, session=session)
        return {document["_id"]: document async for document in found}

    async def _confirmed(self, ids: Sequence[str]) -> dict[str, Document]:
        """Reads them after a write of our own. A primary that was replaced cannot acknowledge that write, and the new one
        has by then everything that was acknowledged before. C9: no failover takes an answer back.
        """
        async with self._collection.database.client.start_session(causal_consistency=True) as session:
            await pass_barrier(self._barriers, session)
            return await self._documents(ids, session)

    def _fold(
        self, document_id: str, document: Document | None, callers: "Sequence[Caller[_Change[T], Any]]"
    ) -> "_Fold[T]":
        """Runs all decisions about one document in order, each on the result of the one before."""
        now: datetime | None = None if document is None else document["read_at"]
        try:
            thing = None if document is None else msgspec.convert(document, self._kind)
        except msgspec.ValidationError as error:
            for caller in callers:
                self._replies.refuse(
                    caller, InvalidError(f"{self._collection.name}: {document_id} does not decode: {error}")
                )
            return _Fold[T](document_id, None)
        fold = _Fold[T](document_id, thing)
        for caller in callers:
            if caller.future.done():
                continue
            try:
                verdict = caller.item.decide(thing, now)
            except Exception as error:  # noqa: BLE001 - it harms its own caller only
                caller.fail(error)
                continue
            if verdict.after is not None:
                thing = fold.after = verdict.after
            fold.rests_on_absence |= verdict.after is None and not verdict.found
            fold.answers[caller] = verdict.answer
        fold.rests_on_absence &= fold.after is None  # C9: no failover takes back what the write of this fold confirms
        return fold

    async def _write(self, folds: "Sequence[_Fold[T]]") -> None:
        writer = ObjectId()
        groups = self._groups(folds, writer)
        refused: dict[str, Refusal] = {}
        try:
            async with forward(self._collection.database.client) as session:
                statements = [group.statement for group in groups]
                written = await self._collection.bulk_write(statements, ordered=False, session=session)
            certain = written.matched_count == len(folds)
        except (PyMongoError, *ENCODING_ERRORS) as error:
            codes = refusals(error, [group.update for group in groups])
            if codes is None:
                raise
            refused = {
                one: codes[number] for number, group in enumerate(groups) if number in codes for one in group.ids
            }
            certain = False
        missing = set[str]() if certain else await self._not_written([fold.document_id for fold in folds], writer)
        for fold in folds:
            if fold.document_id not in missing:
                self._replies.counts["written"].inc()
                fold.tell()
                fold.answer()
            elif fold.document_id in refused:
                self._refuse_fold(fold, refused[fold.document_id])
            else:
                self._replies.counts["missed"].inc()
                self._batches.again(fold.answers)

    async def _not_written(self, ids: Sequence[str], writer: ObjectId) -> set[str]:
        """The ids without our mark: totals alone do not say which were written. A document that we wrote and that somebody
        overwrote before this read counts as missed: its decisions find their own effect when they run again. C3: two
        writers lose nothing.
        """
        ours = self._collection.find({"_id": {"$in": ids}, "writer": writer}, {"_id": 1})
        return {*ids} - {document["_id"] async for document in ours}

    def _groups(self, folds: "Sequence[_Fold[T]]", writer: ObjectId) -> "list[_Group]":
        """Equal changes of documents at one version share a statement, which costs a fifth of one each."""
        groups: dict[Any, _Group] = {}
        for fold in folds:
            assert fold.after is not None
            assert fold.before is not None, f"{fold.document_id} is not there: there is nothing to change"
            version: int = fold.before.version  # type: ignore[attr-defined]  # every kind has it
            update = update_between(*_differing(fold.before, fold.after))
            update["$set"] = {**update.get("$set", {}), "version": Int64(version + 1), "writer": writer}
            key = repr((version, update)) if len(folds) > 1 else None
            groups.setdefault(key, _Group([], version, update)).ids.append(fold.document_id)
        return list(groups.values())

    def _refuse_fold(self, fold: "_Fold[T]", refusal: "Refusal") -> None:
        """One decision of several may be to blame, so each is tried alone. C6: a refusal costs its neighbours nothing."""
        callers = [*fold.answers]
        if len(callers) > 1 or not callers[0].alone:
            self._batches.again(callers, alone=True)
        elif refusal.duplicate:
            self._replies.counts["duplicate"].inc()
            callers[0].fail(TakenError())
        else:
            self._replies.refuse(callers[0], InvalidError(f"{self._collection.name}: {refusal.reason}"))


def _differing(before: T, after: T) -> tuple[Document, Document]:
    """Both as stored, but only the fields in which they may differ: encoding all of them costs more than writing two."""
    fields = zip(after.__struct_fields__, after.__struct_encode_fields__, strict=True)
    names = {stored: name for name, stored in fields if getattr(before, name) is not getattr(after, name)}

    def stored_fields(thing: T) -> Document:
        values = {stored: getattr(thing, name) for stored, name in names.items()}
        return to_document({stored: value for stored, value in values.items() if value is not msgspec.UNSET})

    return stored_fields(before), stored_fields(after)


def _read_by_all(callers: "Sequence[Caller[_Change[Any], Any]]") -> Document | None:
    """The newest of the documents that all callers have read for their first try. None if one has not: with an old document
    it would only miss, because of the others.
    """
    reads = [read for one in callers if one.tries == 0 and (read := one.item.read()) is not None]
    return max(reads, key=lambda read: read["version"]) if len(reads) == len(callers) else None
