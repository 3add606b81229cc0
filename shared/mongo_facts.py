"""The facts about MongoDB that the safety of both services rests on, each tried for real in a collection that is dropped.

The docstring of each is the fact, as `doctor` prints it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple
from uuid import uuid4

from bson import Int64
from pymongo import IndexModel, UpdateOne, WriteConcern
from pymongo.errors import BulkWriteError, DuplicateKeyError

from shared.mongo import Collection, Document, connect

ROUNDS = 20  # a race may not show in fewer
MEMBERS_MAX = 50  # of a replica set; so many never hold data, and a write to all of them fails
_DUPLICATE, _INVALID, _INVALID_OPTIONS = 11000, 121, 72
_TOO_LARGE = {10334, 17419}  # 10334 on MongoDB 6.0


class NotSoError(Exception):
    """MongoDB does not do what the fact says; the message says what it did."""


class Scratch(NamedTuple):
    """One empty collection, seen through two clients."""

    ours: Collection
    theirs: Collection


Fact = Callable[[Scratch], Awaitable[None]]


async def partial_index(scratch: Scratch) -> None:
    """A unique partial index leaves out documents without the field. It takes each value only once, null too."""
    await scratch.ours.create_indexes(
        [_unique("keys.value", partialFilterExpression={"keys.value": {"$exists": True}})]
    )
    await scratch.ours.insert_many([{}, {}, {"keys": []}, {"keys": []}, _keyed("a"), _keyed(None)])
    for value in ("a", None):
        try:
            await scratch.ours.insert_one(_keyed(value))
        except DuplicateKeyError:
            continue
        raise NotSoError(f"it took {value!r} twice")


async def key_taken_off(scratch: Scratch) -> None:
    """A pull by value and expiry takes off an expired key, but not one renewed meanwhile, and its value is then free."""
    await scratch.ours.create_indexes(
        [_unique("keys.value", partialFilterExpression={"keys.value": {"$exists": True}})]
    )
    await scratch.ours.insert_many([_keyed("old", expires_at=1), _keyed("renewed", expires_at=2)])
    for value in ("old", "renewed"):
        await scratch.ours.update_one({"keys.value": value}, {"$pull": {"keys": {"value": value, "expires_at": 1}}})
    await scratch.ours.insert_one(_keyed("old", expires_at=2))
    _equal(await scratch.ours.count_documents({"keys.value": "renewed"}), 1)


async def bulk_errors(scratch: Scratch) -> None:
    """A reply names each refused document of a batch with its index and value. The validator speaks before the index."""
    database, name = scratch.ours.database, scratch.ours.name
    await database.create_collection(name, validator={"valid": {"$ne": False}})
    await scratch.ours.create_indexes([_unique("number")])
    await scratch.ours.insert_one({"number": 1})
    errors, _ = await _refused(scratch.ours, [{"number": 1}, {"number": 1, "valid": False}, {"number": 2}])
    _equal([one["code"] for one in errors], [_DUPLICATE, _INVALID])
    _equal((errors[0]["keyPattern"], errors[0]["keyValue"]), ({"number": 1}, {"number": 1}))
    _equal(await scratch.ours.count_documents({"number": 2}), 1)


async def both_kinds_of_errors(scratch: Scratch) -> None:
    """One reply may name refused documents and a write concern error together, and the driver shows both."""
    await scratch.ours.insert_one({"_id": 1})
    unattainable = scratch.ours.with_options(write_concern=WriteConcern(w=MEMBERS_MAX, wtimeout=100))
    errors, concerns = await _refused(unattainable, [{"_id": 1}, {"_id": 2}])
    _equal(([one["code"] for one in errors], len(concerns) > 0), ([_DUPLICATE], True))


async def cause_of_a_refusal(scratch: Scratch) -> None:
    """After losing a race, by a duplicate or by a version, a client can at once read by majority what won it."""
    await scratch.ours.create_indexes([_unique("number")])
    for number in range(ROUNDS):
        await asyncio.gather(*(_insert_or_see(one, number) for one in scratch))
    await scratch.ours.insert_one({"_id": "order", "version": 0})
    for version in range(ROUNDS):
        hits = await asyncio.gather(*(_change_or_see(one, version) for one in scratch))
        _equal(sum(hits), 1)


async def read_after_write(scratch: Scratch) -> None:
    """A write that a majority has acknowledged can at once be read by majority by another client."""
    for number in range(ROUNDS):
        await scratch.ours.insert_one({"_id": number})
        _equal(await scratch.theirs.find_one({"_id": number}), {"_id": number})


async def once(scratch: Scratch) -> None:
    """A write that is sent again because its reply was lost is executed once, and its totals are right."""
    await scratch.ours.insert_one({"_id": 1, "count": 0})
    client = scratch.ours.database.client
    _equal(client.options.retry_writes, True)
    statement = {"q": {"_id": 1}, "u": {"$inc": {"count": 1}}}
    command = {
        "update": scratch.ours.name,
        "updates": [statement],
        "txnNumber": Int64(2**40),
    }  # beyond the errors after which the driver retries
    async with client.start_session() as session:
        replies = [await scratch.ours.database.command(dict(command), session=session) for _ in range(2)]
    _equal([(reply["n"], reply["nModified"]) for reply in replies], [(1, 1), (1, 1)])
    _equal(await scratch.ours.find_one(), {"_id": 1, "count": 1})


async def many_are_not_retried(scratch: Scratch) -> None:
    """The driver does not retry a change of many documents, so each of ours carries a token by which it is recognised."""
    command = {
        "update": scratch.ours.name,
        "updates": [{"q": {}, "u": {"$inc": {"count": 1}}, "multi": True}],
        "txnNumber": Int64(2**40),
    }
    async with scratch.ours.database.client.start_session() as session:
        reply = await scratch.ours.database.command(command, session=session)
    _equal([one["code"] for one in reply.get("writeErrors", ())], [_INVALID_OPTIONS])


async def changes_of_one_version(scratch: Scratch) -> None:
    """Of two changes of one version in one batch, the second misses. $$NOW is the server's time."""
    await scratch.ours.insert_one({"_id": 1, "version": 0})
    change = UpdateOne({"_id": 1, "version": 0}, [{"$set": {"version": {"$literal": 1}, "at": "$$NOW"}}])
    written = await scratch.ours.bulk_write([change, change], ordered=False)
    _equal(written.matched_count, 1)
    _equal(await scratch.ours.count_documents({"at": {"$type": "date"}}), 1)


async def too_large(scratch: Scratch) -> None:
    """A document that would grow beyond 16 MB is refused by a code that says so, and costs its neighbours nothing."""
    await scratch.ours.insert_many([{"_id": 1, "text": "x" * 2**20}, {"_id": 2}])
    grow = UpdateOne({"_id": 1}, [{"$set": {"copies": ["$text"] * 17}}])
    try:
        await scratch.ours.bulk_write([grow, UpdateOne({"_id": 2}, {"$set": {"changed": True}})], ordered=False)
    except BulkWriteError as error:
        codes = [one["code"] for one in error.details["writeErrors"]]
        if len(codes) != 1 or codes[0] not in _TOO_LARGE:
            raise NotSoError(f"the codes were {codes}") from None
    else:
        raise NotSoError("it was taken")
    _equal(await scratch.ours.count_documents({"changed": True}), 1)


async def literals(scratch: Scratch) -> None:
    """In a pipeline a text that begins with $ is a field, and a document is merged into another; $literal prevents both."""
    before = {"_id": 1, "part": {"old": 1}, "text": "", "number": 7}
    await scratch.ours.insert_one(dict(before))
    await scratch.ours.update_one({"_id": 1}, [{"$set": {"part": {"new": 1}, "text": "$number"}}])
    _equal(await scratch.ours.find_one(), {**before, "part": {"old": 1, "new": 1}, "text": 7})
    stored = {"part": {"new": "$part"}, "text": "$part"}
    await scratch.ours.update_one({"_id": 1}, [{"$set": {name: {"$literal": one} for name, one in stored.items()}}])
    _equal(await scratch.ours.find_one(), {**before, **stored})


FACTS: Sequence[Fact] = (
    partial_index,
    key_taken_off,
    bulk_errors,
    both_kinds_of_errors,
    cause_of_a_refusal,
    read_after_write,
    once,
    many_are_not_retried,
    changes_of_one_version,
    too_large,
    literals,
)


async def try_fact(fact: Fact, uri: str, database: str) -> None:
    """Tries the fact in a new collection of `database`, and drops it. Raises NotSoError, PyMongoError."""
    name = f"{fact.__name__}_{uuid4().hex[:8]}"
    async with connect(uri, app_name="doctor") as ours, connect(uri, app_name="doctor") as theirs:
        try:
            await fact(Scratch(ours[database][name], theirs[database][name]))
        finally:
            await ours[database].drop_collection(name)


async def _insert_or_see(collection: Collection, number: int) -> None:
    try:
        await collection.insert_one({"number": number})
    except DuplicateKeyError:
        if await collection.find_one({"number": number}) is None:
            raise NotSoError("the document that took a number could not be read") from None


async def _change_or_see(collection: Collection, version: int) -> int:
    result = await collection.update_one({"_id": "order", "version": version}, {"$inc": {"version": 1}})
    if not result.matched_count:
        found = await collection.find_one({"_id": "order"})
        _equal(found, {"_id": "order", "version": version + 1})
    return result.matched_count


async def _refused(collection: Collection, documents: list[Document]) -> tuple[list[Document], list[Document]]:
    """The errors of the documents and of the write concern. Raises NotSoError if there are none."""
    try:
        await collection.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        found = sorted(error.details["writeErrors"], key=lambda one: int(one["index"]))
        return found, error.details["writeConcernErrors"]
    raise NotSoError("nothing was refused")


def _unique(field: str, **options: Any) -> IndexModel:
    return IndexModel([field], unique=True, **options)


def _keyed(value: str | None, **others: Any) -> Document:
    return {"keys": [{"value": value, **others}]}


def _equal(found: object, expected: object) -> None:
    if found != expected:
        raise NotSoError(f"{found!r} instead of {expected!r}")
