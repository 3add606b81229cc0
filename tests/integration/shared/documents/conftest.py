"""Things of a collection of their own, and the writers that insert and change them."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, cast

import msgspec
import pymongo.monitoring
import pytest
from pymongo import ASCENDING, IndexModel
from pymongo.errors import AutoReconnect

from shared.batches import Limits
from shared.documents import Documents, Verdict
from shared.mongo import Client, Collection, ensure_collection

SCHEMA = {"bsonType": "object", "properties": {"note": {"bsonType": "string", "maxLength": 20}}}
_LIMITS = Limits()


class Part(msgspec.Struct, frozen=True):
    id: str
    amount: int


class Key(msgspec.Struct, frozen=True):
    value: str


class Thing(msgspec.Struct, frozen=True, kw_only=True):
    id: str = msgspec.field(name="_id")
    name: str
    total: int = 0
    note: str = ""
    parts: tuple[Part, ...] = ()
    keys: tuple[Key, ...] = ()
    version: int = 1


class Taken(msgspec.Struct, frozen=True):
    """Another thing has the name."""


class Refused(msgspec.Struct, frozen=True):
    """The parts would be more than the total."""


class Commands(pymongo.monitoring.CommandListener):
    """Counts the commands that a client sends."""

    def __init__(self) -> None:
        self.sent: Counter[str] = Counter()

    def started(self, event: pymongo.monitoring.CommandStartedEvent) -> None:
        self.sent[event.command_name] += 1

    def succeeded(self, event: pymongo.monitoring.CommandSucceededEvent) -> None:
        pass

    def failed(self, event: pymongo.monitoring.CommandFailedEvent) -> None:
        pass


class Lossy:
    """A collection over a bad line: of its calls some are never sent, and of some the reply is lost."""

    def __init__(self, collection: Collection, *, unsent: float, lost: float, seed: int) -> None:
        self._collection = collection
        self._unsent, self._lost, self._random = unsent, lost, random.Random(seed)

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._collection, name)
        if name not in {"insert_many", "bulk_write", "aggregate"}:
            return real

        async def call(*arguments: Any, **options: Any) -> Any:
            if self._random.random() < self._unsent:
                raise AutoReconnect("not sent")
            result = await real(*arguments, **options)
            if self._random.random() < self._lost:
                raise AutoReconnect("the reply was lost")
            return result

        return call


@pytest.fixture
async def things(mongo: Client, database_name: str) -> Collection:
    indexes = [
        IndexModel([("name", ASCENDING)], unique=True),
        IndexModel([("keys.value", ASCENDING)], unique=True, partialFilterExpression={"keys.value": {"$exists": True}}),
    ]
    await ensure_collection(mongo[database_name], "things", indexes=indexes, schema=SCHEMA)
    return mongo[database_name]["things"]


@asynccontextmanager
async def at_work(
    things: Collection, *, limits: Limits = _LIMITS, collection: Any = None
) -> AsyncIterator[Documents[Thing, Taken]]:
    async def explain(wanted: Sequence[Thing]) -> Sequence[Taken | None]:
        found = things.find({"name": {"$in": [one.name for one in wanted]}})
        names = {document["name"] async for document in found}
        return [Taken() if one.name in names else None for one in wanted]

    documents = Documents[Thing, Taken](
        cast("Collection", collection or things),
        Thing,
        explain=explain,
        insert_limits=limits,
        change_limits=limits,
    )
    running = asyncio.gather(*(writer.run() for writer in documents.writers))
    try:
        yield documents
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def thing(name: str, **fields: Any) -> Thing:
    return Thing(id=f"id_{name}", name=name, **fields)


def add_part(part: Part) -> Callable[[Thing | None, datetime | None], Verdict[Thing, str | Refused]]:
    """Adds it unless the parts would exceed the total; answers with the part's id."""

    def decide(found: Thing | None, _now: datetime | None) -> Verdict[Thing, str | Refused]:
        assert found is not None
        if part in found.parts:
            return Verdict(part.id, found=True)
        if sum(one.amount for one in found.parts) + part.amount > found.total:
            return Verdict(Refused())
        return Verdict(part.id, msgspec.structs.replace(found, parts=(*found.parts, part)))

    return decide


def set_note(note: str) -> Callable[[Thing | None, datetime | None], Verdict[Thing, str]]:
    def decide(found: Thing | None, _now: datetime | None) -> Verdict[Thing, str]:
        assert found is not None
        if found.note == note:
            return Verdict(note, found=True)
        return Verdict(note, msgspec.structs.replace(found, note=note))

    return decide


def add_key(key: str) -> Callable[[Thing | None, datetime | None], Verdict[Thing, str]]:
    def decide(found: Thing | None, _now: datetime | None) -> Verdict[Thing, str]:
        assert found is not None
        return Verdict(key, msgspec.structs.replace(found, keys=(*found.keys, Key(key))))

    return decide
