"""C5 to C7: many documents are inserted in one call, and each caller gets its own truth."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pymongo.monitoring
import pytest
from pymongo.errors import OperationFailure

from shared.batches import Caller, Limits, UnresolvedDuplicateError
from shared.documents import Documents, InvalidError
from shared.mongo import Client, Collection, connect
from tests.integration.conftest import UNCONFIRMED, FailCommand
from tests.integration.shared.documents.conftest import (
    Commands,
    Taken,
    Thing,
    at_work,
    set_note,
    thing,
)
from tests.waiting import until


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


async def test_c5_a_duplicate_that_nothing_explains_is_asked_for_again_until_the_deadline(
    things: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def explain(wanted: Sequence[Thing]) -> Sequence[None]:
        return [None] * len(wanted)

    await things.insert_one({"_id": "other", "name": "contended"})
    limits = Limits(deadline_seconds=60)
    documents = Documents[Thing, None](things, Thing, explain=explain, insert_limits=limits)
    explain_all, duplicates = documents.insert._explain_all, list[Caller[Any, None]]()

    async def noting(callers: Sequence[Caller[Any, None]]) -> None:
        duplicates.extend(callers)
        await explain_all(callers)

    async def asked_again() -> bool:
        return len(duplicates) > 1 or refused.done()

    monkeypatch.setattr(documents.insert, "_explain_all", noting)
    running = asyncio.gather(*(writer.run() for writer in documents.writers))
    refused = asyncio.create_task(documents.insert(thing("contended")))
    await until(asked_again, "asked for again")
    documents.insert._batches._give_up(duplicates[0])  # as its deadline does
    with pytest.raises(UnresolvedDuplicateError):
        await refused
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
