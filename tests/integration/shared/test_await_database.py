"""A start that fails says why, in one line that an operator can act on."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from uuid import uuid4

import pymongo
import pytest

import order_api.schema
import payment_gateway.schema
from shared.await_database import await_database
from shared.mongo import Client, Database, UnusableDatabaseError, connect, ensure_collection
from shared.privileges import NEEDED, missing_privileges
from tests.guarded_mongod import GuardedMongod
from tools.process import free_port

Prepare = Callable[[Database], Awaitable[None]]

UNIQUE = [pymongo.IndexModel(["number"], unique=True)]


async def refusal(uri: str, prepare: Callable[[Client], Awaitable[None]] | None = None) -> str:
    with pytest.raises(UnusableDatabaseError) as refused:
        await await_database(uri, prepare, patience_seconds=1)
    reason = str(refused.value)
    assert "\n" not in reason
    return reason


async def test_a_server_that_is_not_there() -> None:
    port = free_port()
    reason = await refusal(f"mongodb://127.0.0.1:{port}/")
    assert reason.startswith(f"no primary within 1 s: 127.0.0.1:{port}: ")
    assert "Connect call failed" in reason


async def test_a_name_that_nobody_knows() -> None:
    assert "nowhere.invalid:27017: [Errno" in await refusal("mongodb://nowhere.invalid/")


async def test_a_name_of_a_service_record_that_nobody_knows() -> None:
    assert "_mongodb._tcp.nowhere.invalid" in await refusal("mongodb+srv://nowhere.invalid/")


@pytest.mark.parametrize("direct", ["true", "false"])
async def test_a_set_of_another_name(mongodb_uri: str, direct: str) -> None:
    uri = re.sub("directConnection=true", f"directConnection={direct}&replicaSet=rs9", mongodb_uri)
    reason = await refusal(uri)
    assert reason.startswith("no primary of the set 'rs9' within 1 s: ")
    assert "is of the set 'rs0'" in reason


async def test_a_file_of_certificates_that_is_not_there(guarded: GuardedMongod) -> None:
    reason = await refusal(guarded.uri(host="localhost", options="&tls=true&tlsCAFile=/missing.pem"))
    assert reason == "[Errno 2] No such file or directory: '/missing.pem'"


async def test_a_certificate_of_an_authority_that_is_not_known(guarded: GuardedMongod) -> None:
    assert "CERTIFICATE_VERIFY_FAILED" in await refusal(guarded.uri(host="localhost", options="&tls=true"))


async def test_a_certificate_for_another_name(guarded: GuardedMongod) -> None:
    options = f"&tls=true&tlsCAFile={guarded.authority}"
    assert "not valid for '127.0.0.1'" in await refusal(guarded.uri(options=options))
    await await_database(guarded.uri(host="localhost", options=options))


async def test_a_wrong_password(guarded: GuardedMongod) -> None:
    assert await refusal(guarded.uri(password="other")) == "Authentication failed."


@pytest.mark.parametrize("uri", ["nonsense", "mongodb://", "mongodb://h:port"])
async def test_a_uri_that_is_none(uri: str) -> None:
    assert await refusal(uri)


@pytest.mark.parametrize("prepare", [order_api.schema.prepare, payment_gateway.schema.prepare])
@pytest.mark.parametrize("missing", sorted({*NEEDED} - {"createCollection"}))  # `insert` includes it
async def test_each_privilege_that_is_missing_is_named(guarded: GuardedMongod, missing: str, prepare: Prepare) -> None:
    name = f"test_{uuid4().hex[:12]}"
    guarded.allow(name, *{*NEEDED} - {missing}, databases=[name])
    reason = await refusal(guarded.uri(name), lambda client: prepare(client[name]))
    assert reason.startswith(f"in the database {name} this user may not {missing}: ")


@pytest.mark.parametrize("prepare", [order_api.schema.prepare, payment_gateway.schema.prepare])
async def test_what_is_needed_is_enough_and_trying_it_leaves_nothing_behind(
    guarded: GuardedMongod, prepare: Prepare
) -> None:
    name = f"test_{uuid4().hex[:12]}"
    guarded.allow(name, *NEEDED, databases=[name])
    for _ in ("empty", "existing"):
        await await_database(guarded.uri(name), lambda client: prepare(client[name]))
    async with connect(guarded.uri(name), app_name="test") as client:
        assert await client[name]["barriers"].find_one() is None


async def test_two_processes_may_try_their_privileges_at_once(mongo: Client, database_name: str) -> None:
    tried = await asyncio.gather(*(missing_privileges(mongo[database_name]) for _ in range(8)))
    assert tried == [[]] * 8


@pytest.mark.parametrize("key", ["number", "other"])
async def test_an_index_in_the_way(mongo: Client, mongodb_uri: str, database_name: str, key: str) -> None:
    await mongo[database_name]["things"].create_index(key, name="number_1")
    reason = await refusal(mongodb_uri, lambda client: _make_things(client[database_name]))
    assert reason.startswith(f"{database_name}.things: an index stands in the way; drop it, and it is made anew: ")
    assert "number_1" in reason


async def test_documents_in_the_way_of_a_unique_index(mongo: Client, mongodb_uri: str, database_name: str) -> None:
    await mongo[database_name]["things"].insert_many([{"number": "ORD-1"}, {"number": "ORD-1"}])
    reason = await refusal(mongodb_uri, lambda client: _make_things(client[database_name]))
    assert reason.startswith(f"{database_name}.things: a unique index cannot be built, ")
    assert "ORD-1" in reason


async def _make_things(database: Database) -> None:
    await ensure_collection(database, "things", indexes=UNIQUE, patience_seconds=0.5)
