"""How both services speak to MongoDB: concerns, time limits and schema set in one place and explicitly."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

import msgspec
import pymongo
from bson import Int64
from pymongo import AsyncMongoClient, IndexModel
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
)
from pymongo.monitoring import ServerHeartbeatListener

from shared.metrics import DATABASE_ERRORS
from shared.telemetry import log

Document: TypeAlias = dict[str, Any]
Client: TypeAlias = AsyncMongoClient[Document]
Database: TypeAlias = AsyncDatabase[Document]
Collection: TypeAlias = AsyncCollection[Document]

QUERY_SECONDS = 5.0
BARRIERS = "barriers"  # a collection for small writes. C9: they prove that this primary still has a majority
INDEX_SECONDS = 3600.0  # a new index on years of orders; the old version serves meanwhile
COUNTED: Document = {"version": {"$add": ["$version", Int64(1)]}}  # in every total write. C3: none is missed

LONGS = frozenset({"amount", "amount_minor", "version", "offset_ms"})
# The server will refuse these the next time too: bad value, not authorised, authentication, not supported, unknown command,
# illegal operation, invalid options and name spaces.
REFUSED_FOR_GOOD = frozenset({2, 9, 13, 14, 18, 20, 40, 59, 72, 73, 115, 8000})
NAMESPACE_EXISTS = 48
# Another replica of the service is creating the same thing; a moment later it exists.
CONFLICTS = frozenset({112, 117, 85})  # WriteConflict, ConflictingOperationInProgress, IndexOptionsConflict
_HINDRANCES = {
    11000: "a unique index cannot be built, because documents have the same values; change these documents first",
    **dict.fromkeys((85, 86), "an index stands in the way; drop it, and it is made anew"),
}
REASON_LENGTH_MAX = 400
_ARRAYS = (list, tuple)  # a tuple, because `list | tuple` would be built anew at each look


class UnusableDatabaseError(Exception):
    """MongoDB answers, but the service cannot work with it; the message says what to do."""


def connect(uri: str, *, app_name: str, listeners: Sequence[ServerHeartbeatListener] = ()) -> Client:
    """A client whose writes are journaled on a majority, and whose reads are of the primary and cannot be rolled back,
    whatever the URI says. C9: no failover takes an answer back.

    Its calls end after QUERY_SECONDS unless a `pymongo.timeout` says otherwise. It sends nothing before the first call.
    Raises PyMongoError or ValueError for a URI that does not parse, and OSError for a file in it that cannot be read.
    """
    return AsyncMongoClient(
        uri,
        appname=app_name,
        w="majority",
        journal=True,
        readConcernLevel="majority",
        readPreference="primary",
        timeoutMS=int(QUERY_SECONDS * 1000),
        connectTimeoutMS=2000,
        serverSelectionTimeoutMS=int(QUERY_SECONDS * 1000),
        maxPoolSize=32,
        tz_aware=True,
        datetime_conversion="DATETIME_AUTO",  # C6: a time that Python does not know spoils its own document only
        event_listeners=listeners,
    )


async def ensure_collection(
    database: Database,
    name: str,
    *,
    indexes: Sequence[IndexModel] = (),
    schema: Mapping[str, Any] | None = None,
    patience_seconds: float = 10.0,
) -> None:
    """Creates what is missing of the collection, its validator and its indexes; several replicas may do so at once. Raises
    UnusableDatabaseError if an existing index or existing documents stand in the way, and the last PyMongoError if it still
    fails after `patience_seconds`, which are fewer in tests.
    """
    deadline = asyncio.get_running_loop().time() + patience_seconds
    while True:
        try:
            await _create(database, name, schema)
            if indexes:
                with pymongo.timeout(INDEX_SECONDS):
                    await database[name].create_indexes(list(indexes))
        except PyMongoError as error:
            conflict = isinstance(error, OperationFailure) and error.code in CONFLICTS
            # A primary that steps down answers with WriteConcernError: the work is done, but perhaps not on a majority.
            passing = conflict or error.timeout or isinstance(error, ConnectionFailure | WriteConcernError)
            if not passing or asyncio.get_running_loop().time() > deadline:
                if isinstance(error, OperationFailure) and (hindrance := _HINDRANCES.get(error.code or 0)):
                    raise UnusableDatabaseError(f"{database.name}.{name}: {hindrance}: {reason_of(error)}") from None
                raise
            log.info("waiting for the database", collection=name, reason=type(error).__name__)
            await asyncio.sleep(0.2)
        else:
            return


async def _create(database: Database, name: str, schema: Mapping[str, Any] | None) -> None:
    """Leaves an equal validator alone. To set one, the server waits until every transaction on the collection has ended,
    even that of a killed process, and all other work on the collection waits behind it.
    """
    validator = {"$jsonSchema": schema} if schema else {}
    async for found in await database.list_collections(filter={"name": name}):
        if found["options"].get("validator", {}) == validator:
            return
    try:
        await database.create_collection(name, check_exists=False, validator=validator)
    except OperationFailure as error:
        if error.code != NAMESPACE_EXISTS:
            raise
        await database.command("collMod", name, validator=validator)


async def is_reachable(client: Client) -> bool:
    """Whether the primary answers within a second."""
    try:
        with pymongo.timeout(1.0):
            await client.admin.command("ping")
    except PyMongoError as error:
        count_error(error)
        return False
    return True


def is_refused_for_good(error: Exception) -> bool:
    """Whether the server will refuse again until somebody removes the cause. C7: such an outcome is not unknown."""
    return isinstance(error, OperationFailure) and error.code in REFUSED_FOR_GOOD and not error.timeout


def count_error(error: Exception) -> None:
    """Counts the error of an operation, if it is the database's."""
    if isinstance(error, PyMongoError):
        DATABASE_ERRORS[_kind_of(error)].inc()


def _kind_of(error: PyMongoError) -> str:
    if isinstance(error, ConnectionFailure) and not isinstance(error, NetworkTimeout):
        return "unreachable"
    if error.timeout:
        return "timeout"
    if error.has_error_label("TransientTransactionError"):
        return "conflict"
    return "refused" if isinstance(error, OperationFailure) else "other"


def reason_of(error: Exception) -> str:
    """The reason that the server or the driver gives, in one line."""
    said = (error.details or {}).get("errmsg") if isinstance(error, OperationFailure) else str(error)
    return " ".join(str(said or type(error).__name__).split())[:REASON_LENGTH_MAX]


def describe(error: Exception) -> str:
    """An error for the log, without the documents that PyMongo would show."""
    if isinstance(error, BulkWriteError):
        first = (error.details["writeErrors"] or error.details["writeConcernErrors"])[0]
        return f"BulkWriteError: {first['code']} {first['errmsg']}"
    return f"{type(error).__name__}: {str(error)[:300]}"


def to_document(value: msgspec.Struct | Mapping[str, Any]) -> Document:
    """A struct, or fields of one, as stored: dates as dates; amounts, and counters that only grow, as 64-bit integers."""
    document: Document = msgspec.to_builtins(value, builtin_types=(datetime,))
    return _with_longs(document)


def _with_longs(document: Document) -> Document:
    for name in LONGS:
        if name in document:
            document[name] = Int64(document[name])
    for value in document.values():
        if value and isinstance(value, _ARRAYS):
            for item in value:
                if isinstance(item, dict):
                    _with_longs(item)
    return document
