"""Checks a service's settings and its MongoDB, and prints a line for each finding."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Literal, NamedTuple

import msgspec
from bson import Int64
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.uri_parser import parse_uri

from shared.await_database import await_database
from shared.env import LOOPBACK, Secret, fault_of
from shared.mongo import BARRIERS, Client, Database, UnusableDatabaseError, connect, reason_of
from shared.mongo_facts import FACTS, NotSoError, try_fact
from shared.privileges import NEEDED, is_not_allowed, missing_privileges

SAMPLES = 50  # the slowest of them stands for the p99
TESTED_VERSION = "6.0"  # docs/guarantees.md says on which versions the facts were tried
_UNCHECKED = ("tlsInsecure", "tlsAllowInvalidCertificates", "tlsAllowInvalidHostnames")

Verdict = Literal["ok", "note", "WRONG"]


class DoctorSettings(msgspec.Struct, frozen=True, kw_only=True, rename=str.upper):
    """Names another user for the scratch database, if the service's own may not write to it."""

    doctor_mongodb_uri: Secret | None = None


class Finding(NamedTuple):
    """One line of the report. A `note` is no fault: somebody has switched a safeguard off, or may want to know something."""

    verdict: Verdict
    line: str


class Patient(NamedTuple):
    """A service to check. The facts are tried through `scratch_uri` in the database `<database>_doctor`. `fault` says why
    the settings are refused, `off` names the safeguards that are off. `check_layout` raises UnusableDatabaseError for a
    database of an earlier version.
    """

    uri: str
    scratch_uri: str
    database: str
    production: bool
    fault: str | None
    off: Sequence[str]
    check_layout: Callable[[Database], Awaitable[None]]


def patient_of(
    settings: Any,
    own: DoctorSettings,
    *,
    database: str,
    check: Callable[[Any], None],
    off: Callable[[Any], Sequence[str]],
    check_layout: Callable[[Database], Awaitable[None]],
) -> Patient:
    """Makes a Patient of the `settings` of either service."""
    return Patient(
        uri=settings.mongodb_uri,
        scratch_uri=own.doctor_mongodb_uri or settings.mongodb_uri,
        database=database,
        production=settings.app_env == "production",
        fault=fault_of(settings, check),
        off=off(settings),
        check_layout=check_layout,
    )


def run_doctor(patient: Patient, echo: Callable[[str], object]) -> int:
    """Prints each finding at once. Returns the exit status: 0 if nothing is wrong, else 1."""

    async def run() -> int:
        wrong = 0
        async for verdict, line in examine(patient):
            echo(f"{verdict:5}  {line}")
            wrong += verdict == "WRONG"
        echo(f"{wrong} wrong" if wrong else "nothing is wrong")
        return 1 if wrong else 0

    return asyncio.run(run())


async def examine(patient: Patient) -> AsyncIterator[Finding]:
    """Yields the findings in an order in which each builds on those before. A check that cannot be made counts as wrong."""
    if patient.fault:
        yield Finding("WRONG", patient.fault)
    for line in patient.off:
        yield Finding("note", line)
    try:
        await await_database(patient.uri)
        async with connect(patient.uri, app_name="doctor") as client:
            async for finding in _server(client):
                yield finding
            yield _transport(patient, client)
            yield await _privileges(client[patient.database])
            await patient.check_layout(client[patient.database])
            yield Finding("ok", f"the database {patient.database} is empty or of this version")
            yield await _duration("a round trip", lambda: client.admin.command("ping"))
            yield await _duration("a journaled write of a majority", lambda: _write(client[patient.database]))
    except (UnusableDatabaseError, PyMongoError) as error:
        yield Finding("WRONG", f"MONGODB_URI: {reason_of(error)}")
        return
    async for finding in _facts(patient.scratch_uri, f"{patient.database}_doctor"):
        yield finding


async def _server(client: Client) -> AsyncIterator[Finding]:
    hello = await client.admin.command("hello")
    version = (await client.server_info())["version"]
    if "setName" not in hello:
        yield Finding("ok", f"MongoDB {version}, a sharded cluster")
    else:
        members = len(hello.get("hosts", []))
        yield Finding("ok", f"MongoDB {version}, the replica set {hello['setName']}; members with data: {members}")
        if members < 3:
            yield Finding("note", "fewer than three members with data: if one disk is lost, data may be lost with it")
    if not version.startswith(f"{TESTED_VERSION}."):
        yield Finding("note", f"our tests run on MongoDB {TESTED_VERSION}; the facts below were tried on this one")


def _transport(patient: Patient, client: Client) -> Finding:
    verdict: Verdict = "WRONG" if patient.production else "note"
    options = parse_uri(patient.uri)["options"]
    if options.get("tls"):
        if any(options.get(name) for name in _UNCHECKED):
            return Finding(
                verdict, "MONGODB_URI says not to check the certificate of MongoDB, so anybody can pretend to be it"
            )
        return Finding("ok", "the connection to MongoDB is encrypted (TLS), and its certificate was checked")
    if all(host in LOOPBACK for host, _ in client.nodes):
        return Finding("ok", "the connection to MongoDB is not encrypted, and stays on this machine")
    return Finding(verdict, "the connection to MongoDB is not encrypted: add tls=true to MONGODB_URI")


async def _privileges(database: Database) -> Finding:
    if missing := await missing_privileges(database):
        return Finding(
            "WRONG", f"in {database.name} this user may not {', '.join(missing)}: docs/operations.md has a role"
        )
    return Finding("ok", f"in {database.name} this user may {', '.join(NEEDED)}: each was tried")


async def _duration(what: str, once: Callable[[], Awaitable[Any]]) -> Finding:
    taken = []
    for _ in range(SAMPLES):
        started = time.perf_counter()
        await once()
        taken.append((time.perf_counter() - started) * 1000)
    taken.sort()
    return Finding("ok", f"{what}: p50 {taken[SAMPLES // 2]:.1f} ms, p99 {taken[-1]:.1f} ms")


async def _write(database: Database) -> None:
    await database[BARRIERS].update_one({"_id": 0}, {"$inc": {"passed": Int64(1)}}, upsert=True)


async def _facts(uri: str, database: str) -> AsyncIterator[Finding]:
    try:
        await await_database(uri)
    except UnusableDatabaseError as error:
        yield Finding("WRONG", f"DOCTOR_MONGODB_URI: {error}")
        return
    for fact in FACTS:
        try:
            await try_fact(fact, uri, database)
        except NotSoError as error:
            yield Finding("WRONG", f"fact: {fact.__doc__} Not so: {error}")
        except PyMongoError as error:
            if isinstance(error, OperationFailure) and is_not_allowed(error):
                yield Finding(
                    "WRONG",
                    f"the facts were not tried: this user may not write to the scratch database {database}. Set "
                    "DOCTOR_MONGODB_URI to the URI of a user with the role readWrite on it",
                )
                return
            yield Finding("WRONG", f"fact: {fact.__doc__} Not tried: {reason_of(error)}")
        else:
            yield Finding("ok", f"fact: {fact.__doc__}")
