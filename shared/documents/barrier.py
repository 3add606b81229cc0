"""How an answer that rests on an absence is confirmed: by a write of our own before the read."""

import random

from bson import Int64
from pymongo.asynchronous.client_session import AsyncClientSession

from shared.mongo import Collection

_BARRIERS = 16


async def pass_barrier(barriers: Collection, session: AsyncClientSession) -> None:
    """A write of our own, acknowledged by a majority. Reads of the same session then show everything that was acknowledged
    before it. Raises PyMongoError. C9
    """
    one = random.randrange(_BARRIERS)  # noqa: S311 - so that processes seldom meet in one document
    await barriers.update_one({"_id": one}, {"$inc": {"passed": Int64(1)}}, upsert=True, session=session)
