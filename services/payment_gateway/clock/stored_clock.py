"""Reading and setting the provider's clock, which all replicas share."""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
from pymongo.errors import DuplicateKeyError

from payment_gateway.clock.clock import Clock, arrived
from shared.leases import in_seconds
from shared.mongo import Collection, Document, to_document
from shared.times import utc_now

SEEN_SECONDS = 0.1  # after this every replica has seen a change


class StoredClock:
    """The clock as read at most SEEN_SECONDS ago. Where test endpoints are disabled nothing is read, and it is real time."""

    def __init__(self, collection: Collection, *, enabled: bool) -> None:
        self._collection = collection
        self._enabled = enabled
        self._seen = Clock()
        self._seen_at = self._seen_until = 0.0
        self._reading = asyncio.Lock()

    async def now(self) -> datetime:
        """The provider's time. Raises PyMongoError."""
        return (await self.current()).now(utc_now())

    async def current(self) -> Clock:
        """Raises PyMongoError."""
        if self._enabled and time.monotonic() > self._seen_until:
            async with self._reading:  # whoever waited finds it read
                if time.monotonic() > self._seen_until:
                    await self.read()
        return self._seen

    async def read(self) -> Clock:
        """As it is now. Raises PyMongoError."""
        asked_at = time.monotonic()
        found = await self._collection.find_one({"_id": "default"})
        clock = msgspec.convert(found, Clock) if found else Clock()
        if asked_at >= self._seen_at:  # else it may be older than what is known since
            self._see(clock, seen_at=asked_at, asked_at=asked_at)
        return clock

    async def change(self, change: Callable[[Clock], Clock]) -> Clock:
        """Makes it what `change` makes of it, and returns when every replica has seen that. Raises PyMongoError and what
        `change` raises.
        """
        while True:
            before = await self.read()
            after = change(before)
            if await self._replace(before, after):
                break
        await asyncio.sleep(SEEN_SECONDS)
        return after

    async def move(self, clock: Clock, at: datetime, *, lease_seconds: float) -> Clock | None:
        """Has a clock that the caller advances stand `at`, and renews the caller's lease; None if somebody else advances it
        now, or nobody. Raises PyMongoError.
        """
        change = {"$set": {"at": at, "lease_until": in_seconds(lease_seconds)}}
        return await self._write_held(msgspec.structs.replace(clock, at=at), [change])

    async def arrive(self, clock: Clock) -> Clock | None:
        """Ends the advance that the caller makes; None as for `move`. Raises PyMongoError."""
        after = arrived(clock, real=utc_now())
        return await self._write_held(after, {"$set": {**_fields(after), "lease_until": None, "claim": None}})

    async def _write_held(self, after: Clock, change: Any) -> Clock | None:
        asked_at = time.monotonic()
        ours = {"_id": "default", "claim": after.claim, "state": "advancing"}
        result = await self._collection.update_one(ours, change)
        return self._written(after, asked_at) if result.matched_count else None

    async def _replace(self, before: Clock, after: Clock) -> bool:
        asked_at = time.monotonic()
        try:
            result = await self._collection.update_one(
                {"_id": "default", "version": before.version},
                {"$set": _fields(after), "$setOnInsert": {"lease_until": None, "claim": None}},
                upsert=before.version == 0,
            )
        except DuplicateKeyError:
            return False
        if not (result.matched_count or result.upserted_id):
            return False
        self._written(after, asked_at)
        return True

    def _written(self, clock: Clock, asked_at: float) -> Clock:
        self._see(clock, seen_at=time.monotonic(), asked_at=asked_at)
        return clock

    def _see(self, clock: Clock, *, seen_at: float, asked_at: float) -> None:
        """`clock` was so at some moment from `asked_at` on; a read that was asked for before `seen_at` may be older."""
        self._seen, self._seen_at, self._seen_until = clock, seen_at, asked_at + SEEN_SECONDS


def _fields(clock: Clock) -> Document:
    """What is written of it: the lease and its token are for claims to change."""
    document = to_document(clock)
    return {name: value for name, value in document.items() if name not in {"_id", "lease_until", "claim"}}
