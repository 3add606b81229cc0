"""C3 to C9: documents change by compare-and-set, many in one call, and each caller gets its own truth."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import datetime

import msgspec
import pymongo.monitoring

from shared.batches import Limits, UnavailableError
from shared.documents import InvalidError, TakenError, Verdict
from shared.mongo import Client, Collection, connect
from tests.integration.conftest import UNCONFIRMED, FailCommand
from tests.integration.shared.documents.conftest import (
    Commands,
    Key,
    Lossy,
    Part,
    Refused,
    Taken,
    Thing,
    add_key,
    add_part,
    at_work,
    set_note,
    thing,
)


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


async def test_c3_an_old_read_of_one_caller_costs_the_others_of_its_document_nothing(things: Collection) -> None:
    ran = 0

    def counted(found: Thing | None, now: datetime | None) -> Verdict[Thing, str | Refused]:
        nonlocal ran
        ran += 1
        return add_part(Part("p2", 1))(found, now)

    async with at_work(things) as documents:
        await documents.insert(thing("one", total=9))
        stale = {**(await things.find_one() or {}), "read_at": None}
        await documents.change("id_one", set_note("changed"))
        await asyncio.gather(
            documents.change("id_one", add_part(Part("p1", 1)), read=stale), documents.change("id_one", counted)
        )
    assert ran == 1


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
