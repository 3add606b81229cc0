"""What is told to whoever watches: everything of theirs that changes, and nothing of anybody else's."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from bson import ObjectId

from shared.mongo import Client, Collection, connect
from shared.watch import HINTS_MAX, WRITER_INDEX, Hint, Watch
from tests.integration.conftest import FailCommand

NAME = "watching"


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look may take long, and long may pass between two."""
    monkeypatch.setattr("shared.watch.LOOK_SECONDS", 60)
    monkeypatch.setattr("shared.watch.WINDOW_SECONDS", 3600)


@pytest.fixture
async def things(mongodb_uri: str, database_name: str) -> AsyncIterator[Collection]:
    client = connect(mongodb_uri, app_name=NAME)
    collection = client[database_name]["things"]
    await collection.create_indexes([WRITER_INDEX])
    yield collection
    await client.drop_database(database_name)
    await client.close()


def thing(merchant: str = "shop", **fields: Any) -> dict[str, Any]:
    return {"_id": f"th_{uuid4().hex}", "merchant": merchant, "version": 1, "writer": ObjectId(), **fields}


async def look(watch: Watch, merchant: str, seen: int | None) -> Any:
    """As if a second had passed."""
    watch._look.forget()
    return await watch.news(merchant, seen)


async def test_a_new_thing_and_each_later_version_is_told_once(things: Collection) -> None:
    watch = Watch([things])
    seen = (await watch.news("shop", None)).number
    one = thing()
    await things.insert_one(one)
    news = await look(watch, "shop", seen)
    assert news.hints == [Hint(one["_id"], 1)]
    await things.update_one({"_id": one["_id"]}, {"$set": {"version": 2, "writer": ObjectId()}})
    again = await look(watch, "shop", news.number)
    assert again.hints == [Hint(one["_id"], 2)]
    last = await look(watch, "shop", again.number)
    assert (last.hints, last.more) == ([], False)


async def test_nobody_hears_of_what_is_anothers(things: Collection) -> None:
    watch = Watch([things])
    seen = (await watch.news("shop", None)).number
    await things.insert_one(thing("other"))
    assert (await look(watch, "shop", seen)).hints == []


async def test_a_state_and_what_is_touched_are_told_to_everybody(things: Collection) -> None:
    state = 1

    async def read() -> int:
        return state

    watch = Watch([things], {"clock": read})
    seen = (await watch.news("shop", None)).number
    state = 2
    watch.touch("req_1")
    for news in (await look(watch, "shop", seen), await watch.news("other", seen)):
        assert [hint.id for hint in news.hints] == ["clock", "req_1"]


async def test_little_is_kept_of_what_is_touched_while_nobody_watches(things: Collection) -> None:
    watch = Watch([things])
    seen = (await watch.news("shop", None)).number
    for number in range(2 * HINTS_MAX):
        watch.touch(f"req_{number}")
    news = await look(watch, "shop", seen)
    assert (len(news.hints), news.more) == (HINTS_MAX, True)


async def test_who_has_missed_a_look_is_told_that_there_may_be_more(things: Collection) -> None:
    watch = Watch([things])
    seen = (await watch.news("shop", None)).number
    for _ in range(3):
        await look(watch, "other", None)
    assert (await watch.news("shop", seen)).more


async def test_more_changes_than_can_be_told_are_said_to_be_more(things: Collection) -> None:
    watch = Watch([things])
    seen = (await watch.news("shop", None)).number
    await things.insert_many([thing() for _ in range(HINTS_MAX + 1)])
    news = await look(watch, "shop", seen)
    assert (len(news.hints), news.more) == (HINTS_MAX, True)


async def test_after_a_look_that_failed_there_may_be_more(things: Collection, fail_command: FailCommand) -> None:
    watch = Watch([things])
    seen = (await watch.news("shop", None)).number
    await look(watch, "shop", seen)
    await fail_command(NAME, ["find"], times="always", errorCode=8000)
    failed = await look(watch, "shop", seen)
    await fail_command(NAME, ["find"], times=0)
    healed = await look(watch, "shop", failed.number)
    assert healed.more


async def test_a_look_reads_what_has_changed_and_nothing_else(things: Collection, mongo: Client) -> None:
    await things.insert_many([thing(writer=ObjectId("00" * 12)) for _ in range(500)])
    fresh = thing()
    await things.insert_one(fresh)
    await things.database.command("profile", 2)
    await Watch([things]).news("shop", None)
    await things.database.command("profile", 0)
    [found] = await things.database["system.profile"].find({"command.find": "things"}).to_list()
    assert (found["keysExamined"], found["docsExamined"]) == (1, 1)
