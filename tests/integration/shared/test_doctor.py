"""The `doctor` of both services: every line fine on a real MongoDB, and the line that names what is not."""

from uuid import uuid4

import pytest
from pymongo.uri_parser import parse_uri

from shared import mongo_facts
from shared.doctor import Finding, Patient, examine
from shared.env import LOOPBACK
from shared.mongo import Client, Database
from shared.mongo_facts import FACTS, Fact, NotSoError, Scratch, try_fact
from shared.privileges import NEEDED
from shared.signing import DEVELOPMENT_SECRET
from tests.guarded_mongod import GuardedMongod
from tests.programs import program
from tests.standalone import standalone_mongod

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MODULES = pytest.mark.parametrize("module", ["order_api", "payment_gateway"])
DATABASES = ("ORDER_API_DATABASE", "PAYMENT_GATEWAY_DATABASE")


async def doctor(module: str, uri: str, name: str, **settings: str) -> tuple[int, list[str]]:
    """Its exit status and its lines."""
    good = {
        "APP_ENV": "production",
        "MONGODB_URI": uri,
        **dict.fromkeys(DATABASES, name),
        "WEBHOOK_SECRETS": SECRET,
        "PAYMENT_GATEWAY_API_KEY": "sk_1",
        "PAYMENT_GATEWAY_API_KEYS": "sk_1",
    }
    ended = await program(module, "doctor", **{**good, **settings})
    assert ended.stderr == ""
    return ended.returncode, ended.stdout.splitlines()


def wrong(lines: list[str]) -> list[str]:
    return [line.removeprefix("WRONG  ") for line in lines if line.startswith("WRONG")]


def wrong_on_the_way(uri: str) -> list[str]:
    """What is wrong about how the tests reach MongoDB, if it is not on this machine."""
    host = parse_uri(uri)["nodelist"][0][0]
    plain = "the connection to MongoDB is not encrypted: add tls=true to MONGODB_URI"
    return [] if host in LOOPBACK else [plain]


@MODULES
async def test_every_line_is_fine_on_a_replica_set_and_nothing_stays_behind(
    module: str, mongo: Client, mongodb_uri: str, database_name: str
) -> None:
    status, lines = await doctor(module, mongodb_uri, database_name)
    expected = wrong_on_the_way(mongodb_uri)
    assert (status, wrong(lines)) == (len(expected), expected)
    assert lines[-1] == ("1 wrong" if expected else "nothing is wrong")
    said = "\n".join(lines)
    for part in ("the replica set", "each was tried", "a round trip: p50", "a journaled write of a majority: p50"):
        assert part in said
    facts = [line.removeprefix("ok     fact: ") for line in lines if "fact: " in line]
    assert facts == [fact.__doc__ for fact in FACTS]
    assert f"{database_name}_doctor" not in await mongo.list_database_names()
    assert await mongo[database_name].list_collection_names() == ["barriers"]


@MODULES
async def test_a_mongod_that_is_no_replica_set(module: str) -> None:
    with standalone_mongod() as uri:
        status, lines = await doctor(module, uri, "any")
    assert status == 1
    [line] = wrong(lines)
    assert line.startswith("MONGODB_URI: this MongoDB is no replica set")


@MODULES
async def test_too_few_privileges_and_none_for_the_scratch_database(module: str, guarded: GuardedMongod) -> None:
    name = f"test_{uuid4().hex[:12]}"
    guarded.allow(name, *{*NEEDED} - {"collMod", "remove"}, databases=[name])
    status, lines = await doctor(module, guarded.uri(name), name)
    assert status == 1
    may_not, not_tried = wrong(lines)
    assert may_not.startswith(f"in {name} this user may not collMod, remove: ")
    assert not_tried.startswith(
        f"the facts were not tried: this user may not write to the scratch database {name}_doctor."
    )
    assert "DOCTOR_MONGODB_URI" in not_tried


@MODULES
async def test_the_needed_privileges_are_fine_with_another_user_for_the_scratch_database_and_tls(
    module: str, guarded: GuardedMongod
) -> None:
    name = f"test_{uuid4().hex[:12]}"
    guarded.allow(name, *NEEDED, databases=[name])
    helper = f"{name}_helper"
    guarded.let_write(helper, f"{name}_doctor")
    tls = {"host": "localhost", "options": f"&tls=true&tlsCAFile={guarded.authority}"}
    status, lines = await doctor(module, guarded.uri(name, **tls), name, DOCTOR_MONGODB_URI=guarded.uri(helper, **tls))
    assert (status, wrong(lines)) == (0, [])
    assert any("encrypted (TLS), and its certificate was checked" in line for line in lines)


async def test_a_user_for_the_scratch_database_who_is_not_let_in(guarded: GuardedMongod) -> None:
    helper = guarded.uri(password="other")
    status, lines = await doctor("order_api", guarded.uri(), f"test_{uuid4().hex[:12]}", DOCTOR_MONGODB_URI=helper)
    assert (status, wrong(lines)) == (1, ["DOCTOR_MONGODB_URI: Authentication failed."])


async def test_a_certificate_that_is_not_checked_is_wrong_in_production(guarded: GuardedMongod) -> None:
    uri = guarded.uri(options="&tls=true&tlsAllowInvalidCertificates=true")
    status, lines = await doctor("order_api", uri, f"test_{uuid4().hex[:12]}")
    assert status == 1
    assert [line.partition(",")[0] for line in wrong(lines)] == [
        "MONGODB_URI says not to check the certificate of MongoDB"
    ]


@MODULES
async def test_default_secrets_and_a_contradiction_are_named_and_the_rest_is_looked_at(
    module: str, mongodb_uri: str, database_name: str
) -> None:
    setting, default = {
        "order_api": ("WEBHOOK_SECRETS", DEVELOPMENT_SECRET),
        "payment_gateway": ("PAYMENT_GATEWAY_API_KEYS", "development-key"),
    }[module]
    status, lines = await doctor(module, mongodb_uri, database_name, **{setting: default})
    assert status == 1
    [line] = {*wrong(lines)} - {*wrong_on_the_way(mongodb_uri)}
    assert line.startswith(f"{setting} must ")
    status, lines = await doctor(module, mongodb_uri, database_name, **{setting: default}, APP_ENV="development")
    assert (status, wrong(lines)) == (0, [])
    assert any(line.startswith("note   APP_ENV is development") for line in lines)


@MODULES
async def test_a_setting_that_does_not_parse_is_one_line_and_status_2(module: str) -> None:
    settings = {"MONGODB_URI": "mongodb://127.0.0.1", "DOCTOR_MONGODB_URI_FILE": "/missing"}
    ended = await program(module, "doctor", **settings)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "cannot start: DOCTOR_MONGODB_URI_FILE: FileNotFoundError reading /missing\n"


@MODULES
async def test_a_database_of_an_older_version(module: str, mongo: Client, mongodb_uri: str, database_name: str) -> None:
    await mongo[database_name]["idempotency_keys"].insert_one({"_id": "old"})
    status, lines = await doctor(module, mongodb_uri, database_name)
    assert status == 1
    [line] = {*wrong(lines)} - {*wrong_on_the_way(mongodb_uri)}
    assert line.startswith(f"MONGODB_URI: the database {database_name} is of an ")


async def test_a_fact_that_is_not_so_is_named_and_the_others_are_tried(
    mongodb_uri: str, database_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def untrue(scratch: Scratch) -> None:
        """Water runs uphill."""
        await scratch.ours.insert_one({})
        raise NotSoError("it ran downhill")

    monkeypatch.setattr("shared.doctor.FACTS", [untrue, mongo_facts.literals])
    patient = Patient(
        uri=mongodb_uri,
        scratch_uri=mongodb_uri,
        database=database_name,
        production=True,
        fault=None,
        off=[],
        check_layout=_any_layout,
    )
    *_, first, second = [finding async for finding in examine(patient)]
    assert first == Finding("WRONG", "fact: Water runs uphill. Not so: it ran downhill")
    assert second.verdict == "ok"


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.__name__)
async def test_each_fact_is_so_here_and_its_collection_is_dropped(
    fact: Fact, mongo: Client, mongodb_uri: str, database_name: str
) -> None:
    await try_fact(fact, mongodb_uri, database_name)
    assert await mongo[database_name].list_collection_names() == []


async def _any_layout(_database: Database) -> None:
    """Every one is fine."""
