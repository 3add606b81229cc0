"""A start on a database that order_api cannot work with is refused, in one line that names the ways out."""

import asyncio

import pytest

from order_api.schema import refuse_old_layout
from shared.edge.server import await_database_or_exit
from shared.mongo import Client, UnusableDatabaseError
from tests.integration.order_api.conftest import MakeApplication, place
from tests.standalone import standalone_mongod


@pytest.mark.parametrize("collection", ["outbox", "idempotency_keys"])
async def test_a_database_of_the_old_layout_is_refused_and_told_from_an_empty_one(
    mongo: Client, database_name: str, collection: str
) -> None:
    database = mongo[database_name]
    await database.create_collection(collection)
    await refuse_old_layout(database)
    await database[collection].insert_one({"_id": "old"})
    with pytest.raises(UnusableDatabaseError, match=collection) as refused:
        await refuse_old_layout(database)
    assert "ORDER_API_DATABASE" in str(refused.value)


async def test_a_database_of_this_layout_is_taken(make_application: MakeApplication) -> None:
    async with make_application() as application:
        await place(application)
        await refuse_old_layout(application.store.database)


async def test_what_a_check_has_against_the_database_is_one_line(
    mongodb_uri: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def object_to_it(_client: Client) -> None:
        raise UnusableDatabaseError("of an older version: name another")

    with pytest.raises(SystemExit) as end:
        await asyncio.to_thread(await_database_or_exit, mongodb_uri, object_to_it)
    assert end.value.code == 1
    assert capsys.readouterr().err == "cannot start: MONGODB_URI: of an older version: name another\n"


async def test_a_mongod_that_is_no_replica_set_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with standalone_mongod() as uri, pytest.raises(SystemExit) as end:
        await asyncio.to_thread(await_database_or_exit, uri, patience_seconds=60)
    said = capsys.readouterr().err
    assert end.value.code == 1
    assert said.startswith("cannot start: MONGODB_URI: this MongoDB is no replica set")
    assert said.count("\n") == 1
