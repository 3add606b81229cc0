"""C5 and C10 at the moments that races rarely hit: somebody else comes in between two steps."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from pymongo.asynchronous.client_session import AsyncClientSession

from shared.create_once import CreateOnce
from shared.idempotency import Answer, Record, created
from shared.mongo import Client, Database
from shared.times import utc_now

Thing = dict[str, Any]
Verb = CreateOnce[Thing, str]
EARLIER = utc_now() - timedelta(days=2)


def record(thing: Thing, *, now: datetime | None = None) -> Record:
    """What the one key remembers of a request for `thing`."""
    return created(
        "merchant",
        "key",
        endpoint="POST /things",
        command={"name": thing["name"]},
        body=thing["_id"].encode(),
        location=f"/things/{thing['_id']}",
        now=now or utc_now(),
    )


@asynccontextmanager
async def creating(
    client: Client, database: Database, *, between: Callable[[], Awaitable[None]] | None = None, where: str = ""
) -> AsyncIterator[Verb]:
    """A verb that makes things of unlike names. `between` happens once `where` it says: in `known` or in `refuse`."""
    coming = [between] if between else []

    async def known(things: Sequence[Thing]) -> Sequence[str | None]:
        if where == "known" and coming:
            await coming.pop()()
        taken = await database["things"].distinct("name")
        return ["taken" if thing["name"] in taken else None for thing in things]

    async def refuse(things: Sequence[Thing], _session: AsyncClientSession) -> Sequence[str | None]:
        if where == "refuse" and coming:
            await coming.pop()()
        return [None] * len(things)

    async def write(things: Sequence[Thing], session: AsyncClientSession) -> None:
        await database["things"].insert_many([{"_id": thing["_id"]} for thing in things], session=session)
        named = [{**thing, "_id": f"name of {thing['_id']}"} for thing in things if thing["name"]]
        if named:
            await database["things"].insert_many(named, session=session)

    verb = Verb(client, database["keys"], write, name="create", known=known, refuse=refuse)
    running = asyncio.create_task(verb.commits.run())
    try:
        yield verb
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_c5_a_thing_that_appears_while_it_is_looked_up_is_told_from_another_request(
    mongo: Client, database_name: str
) -> None:
    """The same request on another replica commits just then: this one is its replay, and not refused because of it."""
    database = mongo[database_name]
    first, again = {"_id": "first", "name": "one"}, {"_id": "again", "name": "one"}

    async def the_other_commits() -> None:
        async with creating(mongo, database) as other:
            assert isinstance(await other(record(first), first), Answer)

    async with creating(mongo, database, between=the_other_commits, where="known") as verb:
        answer = await verb(record(again), again)
    assert isinstance(answer, Answer), answer
    assert (answer.body, answer.replayed) == ("first", True)


async def test_c10_an_expired_key_that_is_taken_over_meanwhile_is_not_taken_over_again(
    mongo: Client, database_name: str
) -> None:
    """Both have seen it expired. No other constraint than the key keeps the second from making its thing as well."""
    database = mongo[database_name]
    old, winner, late = ({"_id": name, "name": ""} for name in ("old", "winner", "late"))
    async with creating(mongo, database) as other:
        await other(record(old, now=EARLIER), old)

        async def the_other_takes_over() -> None:
            assert isinstance(await other(record(winner), winner), Answer)

        async with creating(mongo, database, between=the_other_takes_over, where="refuse") as verb:
            answer = await verb(record(late), late)
    assert isinstance(answer, Answer), answer
    assert (answer.body, answer.replayed) == ("winner", True)
    assert sorted(await database["things"].distinct("_id")) == ["old", "winner"]
