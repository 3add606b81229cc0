"""C3 to C9: many callers, one transaction, and each gets its own truth."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from pymongo.asynchronous.client_session import AsyncClientSession

from shared.batches import OverloadedError, UnavailableError, UnresolvedDuplicateError
from shared.group_commit import GroupCommit, Limits, StaleError
from shared.mongo import Client, Collection, connect
from tests.integration.conftest import FailCommand

Item = dict[str, Any]
Write = Callable[[AsyncClientSession, Sequence[Item]], Awaitable[Sequence[str]]]
# The commit is made, but that a majority has it is not confirmed (a writeConcernError is not the end of the command).
UNCONFIRMED = {"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}}


@pytest.fixture
async def things(mongo: Client, database_name: str) -> Collection:
    collection = mongo[database_name]["things"]
    await collection.create_index("name", unique=True)
    return collection


class Inserting:
    """Inserts its items and counts how often it ran."""

    def __init__(self, things: Collection) -> None:
        self.things = things
        self.batches: list[int] = []

    async def write(self, session: AsyncClientSession, items: Sequence[Item]) -> Sequence[str]:
        self.batches.append(len(items))
        await self.things.insert_many([dict(item) for item in items], session=session)
        return [item["_id"] for item in items]

    async def look_up(self, items: Sequence[Item]) -> Sequence[str | None]:
        found = self.things.find({"_id": {"$in": [item["_id"] for item in items]}})
        known = {one["_id"] async for one in found}
        return [f"known {item['_id']}" if item["_id"] in known else None for item in items]


@asynccontextmanager
async def committing(
    client: Client,
    write: Write,
    *,
    keys: Callable[[Item], Iterable[Hashable]] = lambda item: (item["_id"],),
    look_up: Callable[[Sequence[Item]], Awaitable[Sequence[str | None]]] | None = None,
    limits: Limits = Limits(),
) -> AsyncIterator[GroupCommit[Item, str]]:
    options = {"look_up": look_up} if look_up else {}
    commits = GroupCommit[Item, str](client, write, name="test", keys=keys, limits=limits, **options)
    running = asyncio.create_task(commits.run())
    try:
        yield commits
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def thing(name: str) -> Item:
    return {"_id": name, "name": name}


async def submit_all(commits: GroupCommit[Item, str], items: Iterable[Item]) -> list[str | BaseException]:
    return await asyncio.gather(*(commits.submit(item) for item in items), return_exceptions=True)


async def test_callers_that_arrive_together_share_a_transaction(mongo: Client, things: Collection) -> None:
    inserting = Inserting(things)
    async with committing(mongo, inserting.write) as commits:
        names = [f"t{number}" for number in range(200)]
        assert await submit_all(commits, map(thing, names)) == names
    assert sum(inserting.batches) == 200
    assert len(inserting.batches) <= 4
    assert await things.count_documents({}) == 200


async def test_c3_a_document_changed_in_mid_batch_is_read_again(mongo: Client, things: Collection) -> None:
    await things.insert_one({"_id": "a", "name": "a", "version": 1})
    runs = []

    async def add_one(session: AsyncClientSession, items: Sequence[Item]) -> Sequence[str]:
        found = await things.find_one({"_id": "a"}, session=session)
        assert found is not None
        runs.append(found["version"])
        if len(runs) == 1:
            await things.update_one({"_id": "a"}, {"$inc": {"version": 1}})  # somebody else, outside
        result = await things.update_one(
            {"_id": "a", "version": found["version"]}, {"$set": {"version": found["version"] + 1}}, session=session
        )
        if result.matched_count != 1:
            raise StaleError
        return ["done"] * len(items)

    async with committing(mongo, add_one) as commits:
        assert await commits.submit(thing("a")) == "done"
    assert runs == [1, 2]
    assert await things.find_one({"_id": "a"}) == {"_id": "a", "name": "a", "version": 3}


async def test_c3_a_write_that_matched_too_little_is_undone_and_run_again(mongo: Client, things: Collection) -> None:
    runs = []

    async def stale_once(session: AsyncClientSession, items: Sequence[Item]) -> Sequence[str]:
        runs.append(len(items))
        await things.insert_one({"_id": f"run {len(runs)}", "name": f"run {len(runs)}"}, session=session)
        if len(runs) == 1:
            raise StaleError
        return ["done"] * len(items)

    async with committing(mongo, stale_once) as commits:
        assert await commits.submit(thing("a")) == "done"
    assert [one["_id"] async for one in things.find()] == ["run 2"]


async def test_c6_one_bad_item_costs_its_neighbours_only_a_few_rounds(mongo: Client, things: Collection) -> None:
    await things.insert_one(thing("taken"))
    inserting = Inserting(things)
    items = [thing(f"t{number}") for number in range(63)] + [{"_id": "bad", "name": "taken"}]
    limits = Limits(deadline_seconds=3)
    async with committing(mongo, inserting.write, look_up=inserting.look_up, limits=limits) as commits:
        answers = await submit_all(commits, items)
    assert answers[:63] == [f"t{number}" for number in range(63)]
    assert isinstance(answers[63], UnresolvedDuplicateError)
    assert len(inserting.batches) <= 1 + 2 * 6 + 1, (
        inserting.batches
    )  # a lone first caller, then halves of 64 down to 1


async def test_c6_a_value_that_bson_cannot_hold_fails_alone(mongo: Client, things: Collection) -> None:
    inserting = Inserting(things)
    async with committing(mongo, inserting.write) as commits:
        good, bad = await submit_all(commits, [thing("good"), {**thing("bad"), "size": 2**64}])
    assert good == "good"
    assert isinstance(bad, OverflowError)


async def test_c6_a_duplicate_inside_a_batch_waits_for_the_first_and_is_judged_anew(
    mongo: Client, things: Collection
) -> None:
    inserting = Inserting(things)
    async with committing(mongo, inserting.write, look_up=inserting.look_up) as commits:
        answers = await submit_all(commits, [thing("a")] * 50)
    assert sorted(map(str, answers)) == ["a", *["known a"] * 49]
    assert sum(inserting.batches) == 1


async def test_c7_an_unknown_commit_is_neither_split_nor_run_anew(
    mongodb_uri: str, things: Collection, fail_command: FailCommand
) -> None:
    app_name = f"unknown-{uuid4().hex}"
    client = connect(mongodb_uri, app_name=app_name)
    inserting = Inserting(client[things.database.name]["things"])
    await fail_command(app_name, ["commitTransaction"], times="always", **UNCONFIRMED)
    limits = Limits(transaction_seconds=0.5, deadline_seconds=5)
    async with committing(client, inserting.write, limits=limits) as commits:
        answers = await submit_all(commits, [thing("a"), thing("b"), thing("c")])
    assert [type(answer) for answer in answers] == [UnavailableError] * 3, answers
    # A batch is as it was taken; had it been split, one of its parts would be smaller than what was taken together.
    assert sum(inserting.batches) == 3
    await client.close()


async def test_c7_the_same_key_finds_what_an_unknown_commit_has_done(
    mongodb_uri: str, things: Collection, fail_command: FailCommand
) -> None:
    """The commit is made, its reply is lost, and the retry is answered from the database."""
    app_name = f"lost-{uuid4().hex}"
    client = connect(mongodb_uri, app_name=app_name)
    inserting = Inserting(client[things.database.name]["things"])
    await fail_command(app_name, ["commitTransaction"], times="always", **UNCONFIRMED)
    limits = Limits(transaction_seconds=0.5)
    async with committing(client, inserting.write, look_up=inserting.look_up, limits=limits) as commits:
        with pytest.raises(UnavailableError):
            await commits.submit(thing("a"))
        await fail_command(app_name, ["commitTransaction"], times=0)
        assert await commits.submit(thing("a")) == "known a"
    await client.close()


async def test_c8_a_caller_that_goes_away_never_touches_its_neighbours(mongo: Client, things: Collection) -> None:
    inserting = Inserting(things)
    async with committing(mongo, inserting.write) as commits:
        callers = [asyncio.create_task(commits.submit(thing(f"t{number}"))) for number in range(64)]
        await asyncio.sleep(0)
        callers[20].cancel()
        answers = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(answers.pop(20), asyncio.CancelledError)
    assert answers == [f"t{number}" for number in range(64) if number != 20]


async def test_c8_a_caller_that_goes_away_in_mid_commit_never_touches_its_neighbours(
    mongo: Client, things: Collection
) -> None:
    inserting = Inserting(things)
    taken, go_on = asyncio.Event(), asyncio.Event()

    async def hold(session: AsyncClientSession, items: Sequence[Item]) -> Sequence[str]:
        taken.set()
        await go_on.wait()
        return await inserting.write(session, items)

    async with committing(mongo, hold) as commits:
        callers = [asyncio.create_task(commits.submit(thing(f"t{number}"))) for number in range(64)]
        await taken.wait()
        callers[20].cancel()
        await asyncio.wait([callers[20]])
        go_on.set()
        del callers[20]
        assert await asyncio.gather(*callers) == [f"t{number}" for number in range(64) if number != 20]
        assert await commits.submit(thing("next")) == "next"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_it_stops_at_whatever_moment_it_is_cancelled(mongo: Client, things: Collection) -> None:
    """PyMongo reads through asyncio.wait_for, which on Python 3.11 can lose a cancellation."""
    for moment in range(40):
        inserting = Inserting(things)
        commits = GroupCommit[Item, str](mongo, inserting.write, name="test")
        running = asyncio.create_task(commits.run())
        waiting = asyncio.create_task(commits.submit(thing(f"t{moment}")))
        await asyncio.sleep(0.0002 * moment)
        running.cancel()
        done, _ = await asyncio.wait([running], timeout=30)
        assert done, f"still running when cancelled at moment {moment}"
        await asyncio.gather(waiting, return_exceptions=True)
    gc.collect()  # PyMongo leaves the socket of a connect that was cancelled to the collector, which warns: here, not later


async def test_c8_the_committer_outlives_whatever_a_batch_throws(mongo: Client, things: Collection) -> None:
    inserting = Inserting(things)

    async def explode(session: AsyncClientSession, items: Sequence[Item]) -> Sequence[str]:
        if items[0]["_id"] == "bomb":
            raise RuntimeError("a defect")
        return await inserting.write(session, items)

    async with committing(mongo, explode) as commits:
        with pytest.raises(RuntimeError, match="a defect"):
            await commits.submit(thing("bomb"))
        assert await commits.submit(thing("a")) == "a"


async def test_c9_a_duplicate_that_becomes_readable_later_is_answered_then(mongo: Client, things: Collection) -> None:
    await things.insert_one(thing("taken"))
    inserting = Inserting(things)
    readable = asyncio.Event()

    async def look_up(items: Sequence[Item]) -> Sequence[str | None]:
        return ["known" if readable.is_set() else None for _ in items]

    async with committing(mongo, inserting.write, look_up=look_up) as commits:
        waiting = asyncio.create_task(commits.submit({"_id": "x", "name": "taken"}))
        assert await commits.submit(thing("neighbour")) == "neighbour"  # not held up by it
        assert not waiting.done()
        readable.set()
        assert await waiting == "known"


async def test_a_full_queue_refuses_at_once_and_stores_nothing(mongo: Client, things: Collection) -> None:
    held = asyncio.Event()
    taken = asyncio.Event()
    inserting = Inserting(things)

    async def hold(session: AsyncClientSession, items: Sequence[Item]) -> Sequence[str]:
        taken.set()
        await held.wait()
        return await inserting.write(session, items)

    async with committing(mongo, hold, limits=Limits(batch_max=1, queue_max=2)) as commits:
        first = asyncio.create_task(commits.submit(thing("first")))
        await taken.wait()
        queued = [asyncio.create_task(commits.submit(thing(name))) for name in ("b", "c")]
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError):
            await commits.submit(thing("d"))
        held.set()
        assert await asyncio.gather(first, *queued) == ["first", "b", "c"]
    assert await things.count_documents({"_id": "d"}) == 0


async def test_whoever_waits_when_it_stops_is_told_that_it_is_unavailable(mongo: Client, things: Collection) -> None:
    async def never(session: AsyncClientSession, items: Sequence[Item]) -> Sequence[str]:
        await asyncio.Event().wait()
        raise AssertionError

    async with committing(mongo, never) as commits:
        waiting = [asyncio.create_task(commits.submit(thing(name))) for name in ("a", "b")]
        await asyncio.sleep(0)
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(answer, UnavailableError) for answer in answers)
    assert await things.count_documents({}) == 0
