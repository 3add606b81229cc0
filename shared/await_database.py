"""From a URI to a database that a service can work with. If that fails, one line says why."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pymongo
from pymongo.errors import PyMongoError, ServerSelectionTimeoutError
from pymongo.monitoring import (
    ServerHeartbeatFailedEvent,
    ServerHeartbeatListener,
    ServerHeartbeatStartedEvent,
    ServerHeartbeatSucceededEvent,
)

from shared.mongo import (
    REASON_LENGTH_MAX,
    Client,
    UnusableDatabaseError,
    connect,
    count_error,
    is_refused_for_good,
    reason_of,
)

TRY_SECONDS = 3.0  # a connection with TLS and a password is some seven round trips; beyond an ocean that is two seconds


class _Heard(ServerHeartbeatListener):
    """Keeps what each server last said of itself, or why it did not answer. It explains why there is no primary."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, int | None], str] = {}

    def started(self, event: ServerHeartbeatStartedEvent) -> None:
        """Nothing has been heard yet."""

    def succeeded(self, event: ServerHeartbeatSucceededEvent) -> None:
        host, port = event.connection_id
        self._said[event.connection_id] = f"{host}:{port} is of the set {event.reply.document.get('setName')!r}"

    def failed(self, event: ServerHeartbeatFailedEvent) -> None:
        self._said[event.connection_id] = reason_of(event.reply)

    def __str__(self) -> str:
        return "; ".join(self._said.values()) or "no server was found"


async def await_database(
    uri: str, prepare: Callable[[Client], Awaitable[None]] | None = None, *, patience_seconds: float = 10.0
) -> None:
    """Returns when MongoDB answers as a replica set and `prepare`, which may run several times, has succeeded. Raises
    UnusableDatabaseError, whose message is one line, if MongoDB is no replica set, refuses us, or does not answer within
    `patience_seconds` (10 but in tests). Raises what `prepare` raises.
    """
    heard = _Heard()
    try:
        client = connect(uri, app_name="start", listeners=[heard])
    except (PyMongoError, ValueError, OSError) as error:  # OSError: a file that the URI names cannot be read
        raise UnusableDatabaseError(reason_of(error)) from None
    deadline = time.monotonic() + patience_seconds
    try:
        while True:
            try:
                with pymongo.timeout(TRY_SECONDS):
                    await client.admin.command("ping")
                await _require_replica_set(client)
                if prepare:
                    await prepare(client)
            except PyMongoError as error:
                count_error(error)
                if is_refused_for_good(error) or time.monotonic() > deadline:
                    raise UnusableDatabaseError(_reason(error, client, heard, patience_seconds)) from None
            else:
                return
            await asyncio.sleep(0.2)
    finally:
        await client.close()


async def _require_replica_set(client: Client) -> None:
    """Raises UnusableDatabaseError, and PyMongoError."""
    hello = await client.admin.command("hello")
    if "setName" not in hello and hello.get("msg") != "isdbgrid":  # isdbgrid: a router of a sharded cluster
        raise UnusableDatabaseError(
            "this MongoDB is no replica set, and a crash may lose what it has confirmed: start it with --replSet "
            "and run rs.initiate() once (one node is enough), or use `make run` or `docker compose up`"
        )


def _reason(error: PyMongoError, client: Client, heard: _Heard, patience_seconds: float) -> str:
    if is_refused_for_good(error):
        return reason_of(error)
    if not isinstance(error, ServerSelectionTimeoutError):  # such as a failed look-up of a mongodb+srv name
        return f"it could not be used within {patience_seconds:.0f} s: {reason_of(error)}"
    named = client.options.replica_set_name
    asked_for = f" of the set {named!r}" if named else ""
    return f"no primary{asked_for} within {patience_seconds:.0f} s: {heard}"[:REASON_LENGTH_MAX]
