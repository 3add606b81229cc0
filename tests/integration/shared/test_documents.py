"""C3 to C9: documents that change by compare-and-set, many in one call, and each caller gets its own truth."""

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
from pymongo.errors import AutoReconnect, OperationFailure

from shared.batches import Limits, OverloadedError, UnavailableError, UnresolvedDuplicateError
from shared.documents import Documents, InvalidError, TakenError, Verdict
from shared.mongo import Client, Collection, connect, ensure_collection
from tests.integration.conftest import FailCommand

UNCONFIRMED = {"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}}
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


# Inserts


async def test_c6_of_64_callers_three_are_refused_and_61_stored_in_one_write(
    mongodb_uri: str, things: Collection
) -> None:
    await things.insert_one({"_id": "other", "name": "a-taken"})
    commands = Commands()
    client: Client = pymongo.AsyncMongoClient(mongodb_uri, event_listeners=[commands], w="majority")
    wanted = [thing(f"{number:02}") for number in range(61)]
    wanted += [thing("a-taken"), thing("invalid", note="x" * 21), thing("huge", total=2**70)]
    async with at_work(client[things.database.name]["things"]) as documents:
        outcomes = await asyncio.gather(*(documents.insert(one) for one in wanted), return_exceptions=True)
    await client.close()
    assert outcomes[:62] == [None] * 61 + [Taken()]
    assert [type(one) for one in outcomes[62:]] == [InvalidError, InvalidError]
    assert commands.sent["insert"] == 1
    assert await things.count_documents({}) == 62


async def test_c5_an_insert_whose_reply_was_lost_is_its_own_success(
    mongodb_uri: str, things: Collection, fail_command: FailCommand
) -> None:
    client = connect(mongodb_uri, app_name="reply-lost")
    await fail_command("reply-lost", ["insert"], times=1, **UNCONFIRMED)
    async with at_work(client[things.database.name]["things"], limits=Limits(deadline_seconds=30)) as documents:
        assert await documents.insert(thing("mine")) is None
    await client.close()


async def test_c7_a_write_concern_error_says_nothing_definite_about_a_duplicate(
    mongodb_uri: str, things: Collection, fail_command: FailCommand
) -> None:
    """The one in the way may be taken back by a failover: it is asked for again, and stored once it has gone."""
    client = connect(mongodb_uri, app_name="unconfirmed")
    await things.insert_one({"_id": "other", "name": "contended"})
    await fail_command("unconfirmed", ["insert"], times=1, **UNCONFIRMED)
    limits = Limits(deadline_seconds=30)
    async with at_work(client[things.database.name]["things"], limits=limits) as documents:
        assert await documents.insert(thing("contended")) == Taken()
        await fail_command("unconfirmed", ["insert"], times=1, **UNCONFIRMED)
        assert await documents.insert(thing("free")) is None
    await client.close()
    assert await things.count_documents({"name": "free"}) == 1


async def test_c5_a_duplicate_that_nothing_explains_is_asked_for_again_until_the_deadline(things: Collection) -> None:
    async def explain(wanted: Sequence[Thing]) -> Sequence[None]:
        return [None] * len(wanted)

    await things.insert_one({"_id": "other", "name": "contended"})
    limits = Limits(deadline_seconds=0.5)
    documents = Documents[Thing, None](things, Thing, explain=explain, insert_limits=limits)
    running = asyncio.gather(*(writer.run() for writer in documents.writers))
    with pytest.raises(UnresolvedDuplicateError):
        await documents.insert(thing("contended"))
    later = asyncio.create_task(documents.insert(thing("contended")))
    await things.delete_one({"_id": "other"})
    await later
    assert await things.count_documents({"_id": "id_contended"}) == 1
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_c7_what_the_server_refuses_for_good_is_not_tried_again(
    mongodb_uri: str, things: Collection, fail_command: FailCommand
) -> None:
    client = connect(mongodb_uri, app_name="unauthorised")
    await fail_command("unauthorised", ["insert", "update"], times=2, errorCode=13)
    async with at_work(client[things.database.name]["things"]) as documents:
        with pytest.raises(OperationFailure):
            await documents.insert(thing("one"))
        await things.insert_one({"_id": "id_two", "name": "two", "version": 1})
        with pytest.raises(OperationFailure):
            await documents.change("id_two", set_note("x"))
    await client.close()


# Changes


async def test_a_change_writes_only_what_it_changed_and_counts_the_version(things: Collection) -> None:
    async with at_work(things) as documents:
        await documents.insert(thing("one", total=9))
        await things.update_one({"_id": "id_one"}, {"$set": {"unknown_to_us": 7}})
        assert await documents.change("id_one", add_part(Part("p1", 2))) == "p1"
        assert await documents.change("id_one", add_part(Part("p2", 3))) == "p2"
    [stored] = await things.find({}, {"writer": 0}).to_list()
    assert stored == {
        "_id": "id_one",
        "name": "one",
        "total": 9,
        "note": "",
        "parts": [{"id": "p1", "amount": 2}, {"id": "p2", "amount": 3}],
        "keys": [],
        "version": 3,
        "unknown_to_us": 7,
    }


async def test_c18_of_400_parts_of_one_thing_from_two_processes_just_those_that_fit_are_made_in_few_writes(
    mongodb_uri: str, things: Collection
) -> None:
    commands = Commands()
    client: Client = pymongo.AsyncMongoClient(mongodb_uri, event_listeners=[commands], w="majority")
    there = client[things.database.name]["things"]
    async with at_work(there) as first, at_work(there) as second:
        await first.insert(thing("hot", total=200))
        parts = [Part(f"p{number}", 1) for number in range(400)]
        outcomes = await asyncio.gather(
            *((first, second)[number % 2].change("id_hot", add_part(part)) for number, part in enumerate(parts))
        )
    await client.close()
    [stored] = await things.find().to_list()
    made = [part["id"] for part in stored["parts"]]
    assert sorted(made) == sorted(one for one in outcomes if isinstance(one, str))
    assert (len(made), outcomes.count(Refused())) == (200, 200)
    assert commands.sent["update"] < 40  # 400 callers; the barriers' writes are among them


async def test_c3_a_document_that_was_changed_since_it_was_read_is_read_and_decided_about_again(
    things: Collection,
) -> None:
    async with at_work(things) as documents:
        await documents.insert(thing("one", total=5))
        stale = {**(await things.find_one() or {}), "read_at": datetime(2026, 1, 1)}  # noqa: DTZ001 - not looked at
        await documents.change("id_one", add_part(Part("p1", 4)))
        assert await documents.change("id_one", add_part(Part("p2", 4)), read=stale) == Refused()
        assert await documents.change("id_one", add_part(Part("p3", 1)), read=stale) == "p3"
    [stored] = await things.find().to_list()
    assert [part["id"] for part in stored["parts"]] == ["p1", "p3"]


async def test_c3_no_answer_that_writes_nothing_rests_on_what_a_caller_had_read_before(things: Collection) -> None:
    async with at_work(things) as documents:
        await documents.insert(thing("one"))
        stale = {**(await things.find_one() or {}), "read_at": None}
        await documents.change("id_one", set_note("changed"))
        seen = await documents.change(
            "id_one", lambda found, _now: Verdict(found and found.note, found=True), read=stale
        )
    assert seen == "changed"


async def test_c3_totals_that_are_short_harm_only_the_change_that_missed(things: Collection) -> None:
    ran: Counter[str] = Counter()

    def counted(name: str, part: Part) -> Callable[[Thing | None, datetime | None], Verdict[Thing, str | Refused]]:
        def decide(found: Thing | None, now: datetime | None) -> Verdict[Thing, str | Refused]:
            ran[name] += 1
            return add_part(part)(found, now)

        return decide

    async with at_work(things) as documents:
        for name in ("a", "b", "c"):
            await documents.insert(thing(name, total=9))
        stale = {**(await things.find_one({"name": "b"}) or {}), "read_at": None}
        await documents.change("id_b", set_note("changed"))
        await asyncio.gather(
            documents.change("id_a", counted("a", Part("p", 1))),
            documents.change("id_b", counted("b", Part("p", 1)), read=stale),
            documents.change("id_c", counted("c", Part("p", 1))),
        )
    assert ran == {"a": 1, "b": 2, "c": 1}
    assert await things.count_documents({"parts.id": "p", "version": {"$gte": 2}}) == 3
    assert await things.count_documents({"parts.1": {"$exists": True}}) == 0


async def test_c4_a_change_whose_reply_was_lost_finds_its_own_effect(things: Collection) -> None:
    lossy = Lossy(things, unsent=0, lost=0.5, seed=1)
    async with at_work(things, collection=lossy) as documents:
        await things.insert_one({"_id": "id_one", "name": "one", "total": 1000, "version": 1})
        for number in range(20):
            assert await documents.change("id_one", add_part(Part(f"p{number}", 1))) == f"p{number}"
    [stored] = await things.find().to_list()
    assert [part["id"] for part in stored["parts"]] == [f"p{number}" for number in range(20)]


async def test_c7_on_a_bad_line_three_processes_lose_nothing_and_double_nothing(things: Collection) -> None:
    lossy = [Lossy(things, unsent=0.15, lost=0.2, seed=number) for number in range(3)]
    limits = Limits(deadline_seconds=60)
    names = [f"n{number}" for number in range(30)]
    async with (
        at_work(things, collection=lossy[0], limits=limits) as first,
        at_work(things, collection=lossy[1], limits=limits) as second,
        at_work(things, collection=lossy[2], limits=limits) as third,
    ):
        processes = (first, second, third)
        inserting = [
            one.insert(Thing(id=f"{number}_{name}", name=name, total=1000))
            for number, one in enumerate(processes)
            for name in names
        ]
        stored = Counter(map(type, await asyncio.gather(*inserting)))
        ids = [document["_id"] async for document in things.find({}, {"_id": 1})]
        changing = [
            one.change(document_id, add_part(Part(f"{number}.{turn}", 1)))
            for number, one in enumerate(processes)
            for turn in range(5)
            for document_id in ids
        ]
        made = await asyncio.gather(*changing)
    assert stored == {type(None): 30, Taken: 60}
    assert len(made) == 450
    async for document in things.find():
        parts = [part["id"] for part in document["parts"]]
        assert sorted(parts) == sorted({f"{number}.{turn}" for number in range(3) for turn in range(5)})


async def test_c7_a_write_concern_error_of_a_change_is_neither_success_nor_failure(
    mongodb_uri: str, things: Collection, fail_command: FailCommand
) -> None:
    client = connect(mongodb_uri, app_name="unconfirmed-change")
    await things.insert_one({"_id": "id_one", "name": "one", "total": 9, "version": 1})
    await fail_command("unconfirmed-change", ["update"], times=2, **UNCONFIRMED)
    async with at_work(client[things.database.name]["things"]) as documents:
        assert await documents.change("id_one", add_part(Part("p", 1))) == "p"
    await client.close()
    [stored] = await things.find().to_list()
    assert [part["id"] for part in stored["parts"]] == ["p"]


async def test_c7_a_reply_with_a_write_concern_error_is_no_answer(
    mongodb_uri: str, things: Collection, fail_command: FailCommand
) -> None:
    """What no majority has confirmed is asked for again until the deadline, a duplicate and a success alike."""
    client = connect(mongodb_uri, app_name="never-confirmed")
    await things.insert_one({"_id": "other", "name": "contended"})
    await fail_command("never-confirmed", ["insert"], times="always", **UNCONFIRMED)
    there = client[things.database.name]["things"]
    async with at_work(there, limits=Limits(deadline_seconds=1)) as documents:
        inserting = [documents.insert(thing(name)) for name in ("free", "contended")]
        outcomes = await asyncio.gather(*inserting, return_exceptions=True)
    await client.close()
    assert [type(one) for one in outcomes] == [UnavailableError] * 2


async def test_c3_nobody_whose_answer_rests_on_a_write_is_answered_before_it(
    mongodb_uri: str, things: Collection, fail_command: FailCommand
) -> None:
    """Neither who makes a change, nor who finds it made in the same fold."""
    client = connect(mongodb_uri, app_name="slow-write")
    await things.insert_one({"_id": "id_one", "name": "one", "version": 1})
    await fail_command("slow-write", ["update"], times=1, blockConnection=True, blockTimeMS=1500)
    async with at_work(client[things.database.name]["things"]) as documents:
        callers = [asyncio.create_task(documents.change("id_one", set_note("x"))) for _ in range(2)]
        answered, _ = await asyncio.wait(callers, return_when=asyncio.FIRST_COMPLETED)
        assert await things.count_documents({"note": "x"}) == 1, f"{len(answered)} were answered before the write"
        assert await asyncio.gather(*callers) == ["x", "x"]
    await client.close()


async def test_c6_a_decision_that_raises_or_is_refused_harms_only_its_own_caller(things: Collection) -> None:
    def fail(_found: Thing | None, _now: datetime | None) -> Verdict[Thing, str]:
        raise ZeroDivisionError

    async with at_work(things) as documents:
        await documents.insert(thing("other", keys=(Key("taken"),)))
        await documents.insert(thing("one", total=9))
        outcomes = await asyncio.gather(
            documents.change("id_one", add_part(Part("p1", 1))),
            documents.change("id_one", fail),
            documents.change("id_one", set_note("x" * 21)),
            documents.change("id_one", add_key("taken")),
            documents.change("id_one", add_part(Part("p2", 1))),
            return_exceptions=True,
        )
    assert [one if isinstance(one, str) else type(one) for one in outcomes] == [
        "p1",
        ZeroDivisionError,
        InvalidError,
        TakenError,
        "p2",
    ]
    stored = await things.find_one({"_id": "id_one"}) or {}
    assert {part["id"] for part in stored["parts"]} == {"p1", "p2"}
    assert (stored["note"], stored["keys"]) == ("", [])


async def test_c6_a_value_that_bson_refuses_harms_only_its_own_caller(things: Collection) -> None:
    def grow(found: Thing | None, _now: datetime | None) -> Verdict[Thing, str]:
        assert found is not None
        return Verdict("grown", msgspec.structs.replace(found, total=2**70))

    neighbours = [f"id_{number}" for number in range(60)]
    async with at_work(things) as documents:
        await asyncio.gather(*(documents.insert(thing(name.removeprefix("id_"))) for name in ("id_bad", *neighbours)))
        outcomes = await asyncio.gather(
            *(documents.change(one, set_note(one)) for one in neighbours),
            documents.change("id_bad", grow),
            return_exceptions=True,
        )
    assert [one if isinstance(one, str) else type(one) for one in outcomes] == [*neighbours, InvalidError]
    assert all([one["note"] == one["_id"] async for one in things.find({"_id": {"$ne": "id_bad"}})])


async def test_equal_changes_of_many_documents_are_one_statement_and_each_is_made(things: Collection) -> None:
    async with at_work(things) as documents:
        await asyncio.gather(*(documents.insert(thing(f"{number}")) for number in range(50)))
        await things.update_one({"name": "7"}, {"$set": {"note": "mine", "version": 5}})
        await asyncio.gather(*(documents.change(f"id_{number}", set_note("same")) for number in range(50)))
    assert await things.count_documents({"note": "same", "version": 2}) == 49
    assert await things.count_documents({"name": "7", "note": "same", "version": 6}) == 1


async def test_c6_a_group_of_equal_changes_that_is_refused_is_tried_one_by_one(things: Collection) -> None:
    async with at_work(things) as documents:
        await asyncio.gather(
            *(documents.insert(thing(f"{number}", keys=(Key(f"own{number}"),))) for number in range(4))
        )
        clear = [documents.change(f"id_{number}", add_key("shared")) for number in range(4)]
        outcomes = await asyncio.gather(*clear, return_exceptions=True)
    assert sorted(one if isinstance(one, str) else type(one).__name__ for one in outcomes) == [
        "TakenError",
        "TakenError",
        "TakenError",
        "shared",
    ]
    assert await things.count_documents({"keys.value": "shared"}) == 1


async def test_c9_an_answer_that_rests_on_absence_is_given_after_a_write_of_our_own(things: Collection) -> None:
    async with at_work(things) as documents:
        await documents.insert(thing("one", total=0))
        barriers = things.database["barriers"]
        assert await documents.change("id_one", set_note("")) == ""  # found
        assert await documents.change("id_one", set_note("x")) == "x"  # written
        assert await barriers.count_documents({}) == 0
        assert await documents.read("id_one") is not None
        assert await barriers.count_documents({}) == 0
        assert await documents.change("id_one", add_part(Part("p", 1))) == Refused()
        assert await documents.read("id_none") is None
    assert sum([one["passed"] async for one in barriers.find()]) == 2


async def test_a_document_that_does_not_decode_spoils_no_other(things: Collection) -> None:
    await things.insert_many(
        [{"_id": "id_odd", "name": 7, "version": 1}, {"_id": "id_one", "name": "one", "version": 1}]
    )
    async with at_work(things) as documents:
        outcomes = await asyncio.gather(
            documents.change("id_odd", set_note("x")), documents.change("id_one", set_note("x")), return_exceptions=True
        )
    assert [one if isinstance(one, str) else type(one) for one in outcomes] == [InvalidError, "x"]


# Callers


async def test_c8_a_caller_that_goes_away_harms_nobody(things: Collection) -> None:
    async with at_work(things) as documents:
        callers = [asyncio.create_task(documents.insert(thing(f"{number}"))) for number in range(64)]
        await asyncio.sleep(0)
        callers[13].cancel()
        outcomes = await asyncio.gather(*callers, return_exceptions=True)
    assert [one for one in outcomes if one is not None] == [outcomes[13]]
    assert isinstance(outcomes[13], asyncio.CancelledError)


async def test_c8_a_caller_that_goes_away_in_mid_write_never_touches_its_neighbours(
    mongodb_uri: str, things: Collection, fail_command: FailCommand
) -> None:
    client = connect(mongodb_uri, app_name="slow-insert")
    there = client[things.database.name]["things"]
    await fail_command("slow-insert", ["insert"], times=1, blockConnection=True, blockTimeMS=1000)
    async with at_work(there, limits=Limits(batches_in_flight=1)) as documents:
        callers = [asyncio.create_task(documents.insert(thing(f"{number}"))) for number in range(8)]
        await asyncio.sleep(0.3)
        assert not any(caller.done() for caller in callers)
        callers[3].cancel()
        outcomes = await asyncio.gather(*callers, return_exceptions=True)
    await client.close()
    assert isinstance(outcomes.pop(3), asyncio.CancelledError)
    assert outcomes == [None] * 7


async def test_c8_the_writer_outlives_whatever_a_batch_throws(things: Collection) -> None:
    async def explain(_wanted: Sequence[Thing]) -> Sequence[None]:
        raise ZeroDivisionError

    await things.insert_one({"_id": "other", "name": "contended"})
    documents = Documents[Thing, None](things, Thing, explain=explain)
    running = asyncio.gather(*(writer.run() for writer in documents.writers))
    for _ in range(3):  # more than there are batches in flight
        with pytest.raises(ZeroDivisionError):
            await documents.insert(thing("contended"))
    await documents.insert(thing("free"))
    assert await things.count_documents({"name": "free"}) == 1
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_beyond_its_bounds_in_callers_or_bytes_nothing_is_taken(things: Collection) -> None:
    async with at_work(things, limits=Limits(queue_max=2)) as documents:
        outcomes = await asyncio.gather(*(documents.insert(thing(f"{n}")) for n in range(4)), return_exceptions=True)
    assert [type(one) for one in outcomes] == [type(None), type(None), OverloadedError, OverloadedError]
    async with at_work(things, limits=Limits(queue_bytes_max=400)) as documents:
        outcomes = await asyncio.gather(*(documents.insert(thing(f"b{n}")) for n in range(4)), return_exceptions=True)
    assert OverloadedError in [type(one) for one in outcomes]
    assert type(None) in [type(one) for one in outcomes]


async def test_c7_whoever_is_in_hand_when_it_stops_is_told_that_the_outcome_is_unknown(
    mongodb_uri: str, things: Collection, fail_command: FailCommand
) -> None:
    client = connect(mongodb_uri, app_name="slow")
    await fail_command("slow", ["insert"], times=1, blockConnection=True, blockTimeMS=1500)
    async with at_work(client[things.database.name]["things"], limits=Limits(batches_in_flight=1)) as documents:
        callers = [asyncio.create_task(documents.insert(thing(f"{number}"))) for number in range(2)]
        await asyncio.sleep(0)
    outcomes = await asyncio.gather(*callers, return_exceptions=True)
    await client.close()
    assert [type(one) for one in outcomes] == [UnavailableError, UnavailableError]


async def test_one_document_is_in_one_write_of_a_process_at_a_time(things: Collection) -> None:
    """The second change of a document waits for the first, and is then decided on what that has made of it."""
    async with at_work(things, limits=Limits(batches_in_flight=3)) as documents:
        await documents.insert(thing("one", total=1000))
        turns = [documents.change("id_one", add_part(Part(f"{number}", 1))) for number in range(30)]
        tasks = []
        for turn in turns:
            tasks.append(asyncio.create_task(turn))
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)
    [stored] = await things.find().to_list()
    assert len(stored["parts"]) == 30
    assert [part["id"] for part in stored["parts"]] == [f"{number}" for number in range(30)]
