"""C9: no failover takes an answer back. A process never shows less than it has shown or written before."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

from bson import Int64, ObjectId, Timestamp
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.mongo_client import AsyncMongoClient

from shared.mongo import BARRIERS, Collection, Database

T = TypeVar("T")
Election: TypeAlias = tuple[Any, ObjectId]

_BARRIERS = 16
_BEGINNING = Timestamp(0, 0)
# Of each client, by its options: two clients of one URI are equal. MongoDB's time that it has seen, and the last election
# after which it has passed a barrier.
_reached: WeakKeyDictionary[object, Timestamp] = WeakKeyDictionary()
_passed: WeakKeyDictionary[object, Election] = WeakKeyDictionary()


@asynccontextmanager
async def forward(client: AsyncMongoClient[Any]) -> AsyncIterator[AsyncClientSession]:
    """A session whose reads are never older than earlier reads and writes of this client. A new primary that does not yet
    know what a majority has would briefly show an older state; such a read waits instead.
    """
    async with client.start_session(causal_consistency=True) as session:
        if (reached := _reached.get(client.options)) is not None:
            session.advance_operation_time(reached)
        yield session
        ended = session.operation_time
        if ended is not None and ended > _reached.get(client.options, _BEGINNING):
            _reached[client.options] = ended


async def read_up_to_date(database: Database, read: Callable[[AsyncClientSession], Awaitable[T]]) -> T:
    """What `read` returns in a session that shows all that was acknowledged before, to whichever process. A primary that has
    acknowledged a write since its election knows what a majority has. So this costs one write after each election; behind a
    mongos, which tells nobody of elections, it costs one each time.

    `read` runs again if the primary changed meanwhile, because the driver may have asked the new one by itself. Raises what
    `read` raises, and PyMongoError.
    """
    client = database.client
    async with forward(client) as session:
        election = election_of(client)
        if election is not None and election == _passed.get(client.options):
            found = await read(session)
            if election_of(client) == election:
                return found
            election = election_of(client)
        await pass_barrier(database[BARRIERS], session)
        if election is not None and election == election_of(client):
            _passed[client.options] = election
        return await read(session)


async def pass_barrier(barriers: Collection, session: AsyncClientSession) -> None:
    """Waits until a majority has acknowledged a write of our own, before an answer that rests on an absence. Later reads of
    the session show everything acknowledged before. Raises PyMongoError.
    """
    one = random.randrange(_BARRIERS)  # noqa: S311 - so that processes seldom meet at one document
    await barriers.update_one({"_id": one}, {"$inc": {"passed": Int64(1)}}, upsert=True, session=session)


def election_of(client: AsyncMongoClient[Any]) -> Election | None:
    """The primary and its election, as the driver knows them now. None if it knows none."""
    for server in client.topology_description.server_descriptions().values():
        if server.server_type_name == "RSPrimary" and server.election_id is not None:
            return server.address, server.election_id
    return None
