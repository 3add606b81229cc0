"""Releases held deliveries when the one that they wait for has been tried. It reads that anew each time, so no release is
lost with a process.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime

from payment_gateway.clock.stored_clock import StoredClock
from payment_gateway.store import Store
from shared.leases import LeasedWork
from shared.mongo import COUNTED, Document

HELD = {"endpoint_id": {"$gt": ""}, "hold": {"$exists": True}, "state": "pending"}
_TRIED = {"attempts.0": {"$exists": True}}


class ReleaseHeld:
    """Releases held deliveries. `wake` says that deliveries have become due."""

    def __init__(self, store: Store, clock: StoredClock, *, wake: Callable[[], None]) -> None:
        self._store = store
        self._clock = clock
        self._wake = wake
        self._any = False
        self.work = LeasedWork[list[str]](self._claim, self._release, name="release_held", slots=1)

    def hint(self) -> None:
        """A delivery has been tried."""
        if self._any:
            self.work.wake.set()

    async def run_once(self) -> int:
        """Releases what may go, and returns how many deliveries that was. Raises PyMongoError."""
        ids = await self.releasable()
        if ids:
            await self._release(ids)
        return len(ids)

    async def first_due(self, _after: datetime | None) -> datetime | None:
        """Now, if any may go. Otherwise a held delivery falls due when its time is over. C24: nothing goes early."""
        return await self._clock.now() if await self.releasable() else None

    async def releasable(self) -> list[str]:
        """The ids of held deliveries that need to wait no longer, though their time is not over. Raises PyMongoError."""
        fields = ("merchant", "endpoint_id", "hold", "queued_at", "created_at")
        held = await self._store.deliveries.find(HELD, fields).to_list()
        self._any = bool(held)
        behind = [one for one in held if one["hold"]["for"] is not None]
        of_endpoint: dict[str, list[Document]] = defaultdict(list)
        for one in held:
            if one["hold"]["for"] is None:
                of_endpoint[one["endpoint_id"]].append(one)
        ids = await self._behind_one_that_was_tried(behind) if behind else []
        for waiting in of_endpoint.values():
            ids += await self._before_one_that_was_tried(waiting)
        return ids

    async def _behind_one_that_was_tried(self, held: Sequence[Document]) -> list[str]:
        """The deliveries whose `for` has an attempt, or will never have one."""
        waited_for = {"_id": {"$in": list({one["hold"]["for"] for one in held})}}
        over = {"$or": [_TRIED, {"state": {"$ne": "pending"}}]}
        tried = {one["_id"] async for one in self._store.deliveries.find({**waited_for, **over}, {"_id": 1})}
        return [one["_id"] for one in held if one["hold"]["for"] in tried]

    async def _before_one_that_was_tried(self, held: Sequence[Document]) -> list[str]:
        """The deliveries of one endpoint that were queued before one that has been tried and is not held."""
        first = min(held, key=lambda one: one["queued_at"])
        later = {
            "merchant": first["merchant"],
            "endpoint_id": first["endpoint_id"],
            "created_at": {"$gte": min(one["created_at"] for one in held)},  # for the index
            "queued_at": {"$gte": first["queued_at"]},
            "hold": {"$exists": False},
        }
        newest = await self._store.deliveries.find_one({**later, **_TRIED}, {"queued_at": 1}, sort=[("queued_at", -1)])
        return [] if newest is None else [one["_id"] for one in held if one["queued_at"] <= newest["queued_at"]]

    async def _claim(self, _limit: int) -> Sequence[list[str]]:
        return [ids] if (ids := await self.releasable()) else []

    async def _release(self, ids: list[str]) -> None:
        """Makes them due now. C3: a total write, so a process that is sending one of them goes on with it."""
        due = {"next_attempt_at": {"$min": ["$next_attempt_at", await self._clock.now()]}}
        await self._store.deliveries.update_many(
            {"_id": {"$in": ids}, **HELD}, [{"$set": {**due, **COUNTED}}, {"$unset": "hold"}]
        )
        self._wake()
