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

from shared.metrics import DATABASE_ERRORS
from shared.telemetry import log

Document: TypeAlias = dict[str, Any]
Client: TypeAlias = AsyncMongoClient[Document]
Database: TypeAlias = AsyncDatabase[Document]
Collection: TypeAlias = AsyncCollection[Document]

QUERY_SECONDS = 5.0
INDEX_SECONDS = 3600.0  # a new index on years of orders; the old version serves meanwhile
COUNTED: Document = {"version": {"$add": ["$version", Int64(1)]}}  # in the pipeline of every total write. C3

LONGS = frozenset({"amount", "amount_minor", "version", "offset_ms"})
# The server will refuse it the next time too, whatever it is about: bad value, not authorised, authentication, not
# supported, unknown command, illegal operation, invalid options and name spaces.
REFUSED_FOR_GOOD = frozenset({2, 9, 13, 14, 18, 20, 40, 59, 72, 73, 115, 8000})
_NAMESPACE_EXISTS = 48
# Another replica of the service is creating the same thing; a moment later it exists.
_CONFLICTS = {112, 117, 85}  # WriteConflict, ConflictingOperationInProgress, IndexOptionsConflict


class UnusableDatabaseError(Exception):
    """MongoDB answers, and the service cannot work with what it is or has; the message names the ways out."""


def connect(uri: str, *, app_name: str) -> Client:
    """A client whose writes are journaled on a majority, and whose reads are of the primary and cannot be rolled back,
    whatever the URI says. C9

    Its calls end after QUERY_SECONDS unless a `pymongo.timeout` says otherwise. Nothing is sent before the first call.
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
    )


async def ensure_collection(
    database: Database,
    name: str,
    *,
    indexes: Sequence[IndexModel] = (),
    schema: Mapping[str, Any] | None = None,
    patience_seconds: float = 10.0,
) -> None:
    """Makes the collection, its validator and its indexes be there; several replicas may do so at once. Raises the
    PyMongoError that was still there after `patience_seconds`.
    """
    deadline = asyncio.get_running_loop().time() + patience_seconds
    while True:
        try:
            await _create(database, name, schema)
            if indexes:
                with pymongo.timeout(INDEX_SECONDS):
                    await database[name].create_indexes(list(indexes))
        except PyMongoError as error:
            conflict = isinstance(error, OperationFailure) and error.code in _CONFLICTS
            # A WriteConcernError is the primary's that steps down: done, and not known to be on a majority.
            passing = conflict or error.timeout or isinstance(error, ConnectionFailure | WriteConcernError)
            if not passing or asyncio.get_running_loop().time() > deadline:
                raise
            log.info("waiting for the database", collection=name, reason=type(error).__name__)
            await asyncio.sleep(0.2)
        else:
            return


async def _create(database: Database, name: str, schema: Mapping[str, Any] | None) -> None:
    """A validator that is there already is left alone: to set it, the server waits until every transaction on the collection
    has ended, that of a process that was killed included, and has all other work on it wait behind.
    """
    validator = {"$jsonSchema": schema} if schema else {}
    async for found in await database.list_collections(filter={"name": name}):
        if found["options"].get("validator", {}) == validator:
            return
    try:
        await database.create_collection(name, check_exists=False, validator=validator)
    except OperationFailure as error:
        if error.code != _NAMESPACE_EXISTS:
            raise
        await database.command("collMod", name, validator=validator)


async def is_reachable(client: Client, *, seconds: float = 1.0, refusals: bool = False) -> bool:
    """Whether the primary answers within `seconds`. With `refusals`, raises OperationFailure if it refuses us."""
    try:
        with pymongo.timeout(seconds):
            await client.admin.command("ping")
    except PyMongoError as error:
        if refusals and isinstance(error, OperationFailure):
            raise
        count_error(error)
        return False
    return True


def is_refused_for_good(error: Exception) -> bool:
    """Whether it is of no use to ask again: the server will refuse it until somebody mends the cause. C7"""
    return isinstance(error, OperationFailure) and error.code in REFUSED_FOR_GOOD and not error.timeout


def count_error(error: Exception) -> None:
    """Counts an error that ended an operation, if it is the database's."""
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


def describe(error: Exception) -> str:
    """An error for the log, without the documents that PyMongo would show with it."""
    if isinstance(error, BulkWriteError):
        first = (error.details["writeErrors"] or error.details["writeConcernErrors"])[0]
        return f"BulkWriteError: {first['code']} {first['errmsg']}"
    return f"{type(error).__name__}: {str(error)[:300]}"


def to_document(value: msgspec.Struct | Mapping[str, Any]) -> Document:
    """A struct, or fields of one, as stored: dates as dates; amounts, and counters that only grow, as 64-bit integers."""
    document: Document = msgspec.to_builtins(value, builtin_types=(datetime,))
    return _with_longs(document)


def _with_longs(document: Document) -> Document:
    for name, value in document.items():
        if name in LONGS:
            document[name] = Int64(value)
        elif isinstance(value, list | tuple):
            for item in value:
                if isinstance(item, dict):
                    _with_longs(item)
    return document
