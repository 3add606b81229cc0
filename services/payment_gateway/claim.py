"""Claims documents for a while: a total write takes them under a token, and only the holder of the token goes on with them.
C3: two writers lose nothing. C23: a process that slept past its lease changes nothing.
"""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from bson import ObjectId

from shared.leases import Lease, in_seconds
from shared.mongo import COUNTED, Collection, Document

_LEASE_IS_FREE = {"$lte": ["$lease_until", "$$NOW"]}  # null comes before any date

Choose = Callable[[Document], Awaitable[Sequence[str]]]


async def claim(
    collection: Collection,
    *,
    due: Mapping[str, Any],
    due_at: str,
    now: datetime,
    limit: int,
    lease_seconds: float,
    also_set: Mapping[str, Any] = COUNTED,
    choose: Choose | None = None,
) -> tuple[Lease, Sequence[Document]]:
    """Leases up to `limit` documents that match `due` and whose time in the field `due_at` has come by `now`: the earliest
    ones, or those whose ids `choose` returns. Returns them as they are after the claim, once a majority has acknowledged
    it, with the server's time in `read_at`.

    Leases are by the server's clock. Raises PyMongoError; a claim whose reply was lost lapses with its lease.
    """
    lease = Lease(time.monotonic() + lease_seconds)
    if limit < 1:
        return lease, []
    token = str(ObjectId())
    free = {**due, due_at: {"$lte": now, "$type": "date"}, "$expr": _LEASE_IS_FREE}
    take = {"lease_until": in_seconds(lease_seconds), "claim": token, **also_set}
    if choose:
        ids = await choose(free)
    else:
        earliest = collection.find(free, {"_id": 1}).sort(due_at).limit(limit)
        ids = [candidate["_id"] async for candidate in earliest]
    if not ids:
        return lease, []
    await collection.update_many({"_id": {"$in": ids}, **free}, [{"$set": take}])
    stages: list[Mapping[str, Any]] = [
        {"$match": {"_id": {"$in": ids}, "claim": token}},
        {"$sort": {due_at: 1}},
        {"$set": {"read_at": "$$NOW"}},
    ]
    return lease, await (await collection.aggregate(stages)).to_list()


async def release(collection: Collection, document: Document, also_set: Mapping[str, Any] = COUNTED) -> None:
    """Ends the claim under which `document` was returned, so that its lease holds up nobody. Raises PyMongoError."""
    free = {"lease_until": None, "claim": None, **also_set}
    await collection.update_one({"_id": document["_id"], "claim": document["claim"]}, [{"$set": free}])


async def release_all(collection: Collection, documents: Sequence[Document]) -> None:
    """As `release`, for documents that one claim returned. Raises PyMongoError."""
    ours = {"_id": {"$in": [one["_id"] for one in documents]}, "claim": documents[0]["claim"]}
    await collection.update_many(ours, [{"$set": {"lease_until": None, "claim": None, **COUNTED}}])
