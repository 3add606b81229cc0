"""What this process has shown or written stays so in what it shows later, whichever member of the set is primary then. C9"""

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
    """A session that reads nothing older than what ended well in another one of this client. A new primary that does not yet
    know how far a majority is would else show, for a moment, what was true before; so it is waited for.
    """
    async with client.start_session(causal_consistency=True) as session:
        if (reached := _reached.get(client)) is not None:
            session.advance_operation_time(reached)
        yield session
        ended = session.operation_time
        if ended is not None and ended > _reached.get(client, _BEGINNING):
            _reached[client] = ended
