"""C9: no failover takes an answer back. A process never shows less than it has shown or written before."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakKeyDictionary

from bson import Timestamp
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.mongo_client import AsyncMongoClient

_BEGINNING = Timestamp(0, 0)
_reached: WeakKeyDictionary[AsyncMongoClient[Any], Timestamp] = WeakKeyDictionary()  # MongoDB's time, for each client


@asynccontextmanager
async def forward(client: AsyncMongoClient[Any]) -> AsyncIterator[AsyncClientSession]:
    """A session whose reads are never older than earlier reads and writes of this client. A new primary that does not yet
    know what a majority has would briefly show an older state; such a read waits instead.
    """
    async with client.start_session(causal_consistency=True) as session:
        if (reached := _reached.get(client)) is not None:
            session.advance_operation_time(reached)
        yield session
        ended = session.operation_time
        if ended is not None and ended > _reached.get(client, _BEGINNING):
            _reached[client] = ended
