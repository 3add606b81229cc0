"""POSTs that create something under an Idempotency-Key: the key's record and the thing, in one transaction.

A request is new, a replay of an earlier one, or refused. A refused one stores nothing, so its key stays free.
"""

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec
from pymongo.asynchronous.client_session import AsyncClientSession

from shared.group_commit import GroupCommit, Limits
from shared.idempotency import Answer, Judgement, KeyReused, Record, judge
from shared.mongo import Client, Collection, Document, to_document
from shared.telemetry import log

__all__ = ["Answer", "CreateOnce", "KeyReused"]

Thing = TypeVar("Thing")
Refusal = TypeVar("Refusal")


class _Creation(msgspec.Struct, Generic[Thing]):
    """All that would be written, made once: a transaction that runs again writes the same. C4

    `takes_over` is set when the key was found to have expired.
    """

    record: Record
    thing: Thing
    takes_over: bool = False


async def _refuse_none(things: Sequence[Any], _session: AsyncClientSession | None = None) -> Sequence[None]:
    return [None] * len(things)


class CreateOnce(Generic[Thing, Refusal]):
    """Creates each thing at most once for its key.

    - `write(things, session)` inserts them.
    - `known(things)`: before the transaction, by majority read, why a thing is refused; None for the rest. Whatever
      unique constraint `write` can violate must be recognised here.
    - `refuse(things, session)`: the same inside the transaction, for what must be decided there.
    """

    def __init__(
        self,
        client: Client,
        keys: Collection,
        write: Callable[[Sequence[Thing], AsyncClientSession], Awaitable[None]],
        *,
        name: str,
        known: Callable[[Sequence[Thing]], Awaitable[Sequence[Refusal | None]]] = _refuse_none,
        refuse: Callable[[Sequence[Thing], AsyncClientSession], Awaitable[Sequence[Refusal | None]]] = _refuse_none,
        limits: Limits = Limits(),
    ) -> None:
        self._keys = keys
        self._write_things = write
        self._known = known
        self._refuse = refuse
        self.commits = GroupCommit[_Creation[Thing], Answer | KeyReused | Refusal](
            client, self._write, name=name, keys=_keys_of, look_up=self._look_up, limits=limits
        )

    async def __call__(self, record: Record, thing: Thing) -> Answer | KeyReused | Refusal:
        """Raises OverloadedError, UnavailableError and UnresolvedDuplicateError; then the same key finds the truth."""
        return await self.commits.submit(_Creation(record, thing))

    async def known(self, record: Record, thing: Thing) -> Answer | KeyReused | Refusal | None:
        """What is known of it already, without doing anything: None if it is new. Raises PyMongoError."""
        [known] = await self._look_up([_Creation(record, thing)])
        return known

    async def _look_up(self, creations: Sequence[_Creation[Thing]]) -> Sequence[Answer | KeyReused | Refusal | None]:
        """The refusals are read before the keys. A key and its thing appear together, so a thing that is there while the
        key is not belongs to another request. C5
        """
        refusals = await self._known([creation.thing for creation in creations])
        records = await self._records(creations)
        for creation in creations:
            creation.takes_over = creation.record.id in records
        return [
            _judge(creation.record, records.get(creation.record.id)) or refusal
            for creation, refusal in zip(creations, refusals, strict=True)
        ]

    async def _write(
        self, session: AsyncClientSession, creations: Sequence[_Creation[Thing]]
    ) -> Sequence[Answer | KeyReused | Refusal]:
        """What stands in a thing's way may be the same request, committed since the keys were looked up: a refusal holds
        only where the transaction sees no key. C5
        """
        refusals = await self._refuse([creation.thing for creation in creations], session)
        accepted = [one for one, refusal in zip(creations, refusals, strict=True) if refusal is None]
        if accepted:
            await self._write_keys(accepted, session)
            await self._write_things([creation.thing for creation in accepted], session)
        refused = [one for one, refusal in zip(creations, refusals, strict=True) if refusal is not None]
        records = await self._records(refused, session) if refused else {}
        return [
            _answer(creation.record, replayed=False)
            if refusal is None
            else _judge(creation.record, records.get(creation.record.id)) or refusal
            for creation, refusal in zip(creations, refusals, strict=True)
        ]

    async def _records(
        self, creations: Sequence[_Creation[Thing]], session: AsyncClientSession | None = None
    ) -> Mapping[str, Document]:
        found = self._keys.find({"_id": {"$in": [creation.record.id for creation in creations]}}, session=session)
        return {document["_id"]: document async for document in found}

    async def _write_keys(self, creations: Sequence[_Creation[Thing]], session: AsyncClientSession) -> None:
        """Keys come before things: of two requests with one key, the second stops here. C5

        Of two that take over an expired key, one meets a write conflict and then the other's live record. C10
        """
        for record in (creation.record for creation in creations if creation.takes_over):
            await self._keys.delete_one({"_id": record.id, "expires_at": {"$lte": record.created_at}}, session=session)
        await self._keys.insert_many([to_document(creation.record) for creation in creations], session=session)


def _keys_of(creation: _Creation[Any]) -> tuple[Hashable, ...]:
    return (creation.record.id,)


def _judge(ours: Record, document: Document | None) -> Answer | KeyReused | None:
    try:
        stored = None if document is None else msgspec.convert(document, Record)
    except msgspec.ValidationError as error:
        log.error("an idempotency record does not decode", key=ours.id, reason=str(error))
        return KeyReused()  # whatever it was, this request must not be done under its key
    match judge(stored, endpoint=ours.endpoint, fingerprint=ours.fingerprint, now=ours.created_at):
        case Judgement.REPLAY:
            assert stored is not None
            return _answer(stored, replayed=True)
        case Judgement.MISMATCH:
            return KeyReused()
        case Judgement.NEW:
            return None


def _answer(record: Record, *, replayed: bool) -> Answer:
    return Answer(record.status, record.body, record.location, replayed)
