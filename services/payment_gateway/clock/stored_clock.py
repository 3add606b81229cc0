"""Reading and setting the provider's clock, which all replicas share."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
from pymongo.errors import DuplicateKeyError

from payment_gateway.clock.clock import Clock, arrived
from payment_gateway.seen import SEEN_SECONDS, Seen
from shared.leases import in_seconds
from shared.mongo import Document, to_document
from shared.times import utc_now


class StoredClock(Seen[Clock]):
    """The shared clock. If the test endpoints are disabled, it is real time."""

    async def now(self) -> datetime:
        """The provider's time. Raises PyMongoError."""
        return (await self.current()).now(utc_now())

    async def change(self, change: Callable[[Clock], Clock]) -> Clock:
        """Applies `change`, and returns when every replica has seen the result. Raises PyMongoError, and what `change`
        raises.
        """
        while True:
            before = await self.read()
            after = change(before)
            fields = {"$set": _fields(after), "$setOnInsert": {"lease_until": None, "claim": None}}
            if await self._write(after, {"version": before.version}, fields, upsert=before.version == 0):
                break
        await asyncio.sleep(SEEN_SECONDS)
        return after

    async def move(self, clock: Clock, at: datetime, *, lease_seconds: float) -> Clock | None:
        """Moves a clock that the caller advances to `at`, and renews the caller's lease. None if the caller no longer
        advances it. Raises PyMongoError.
        """
        change = {"$set": {"at": at, "lease_until": in_seconds(lease_seconds)}}
        return await self._write_held(msgspec.structs.replace(clock, at=at), [change])

    async def arrive(self, clock: Clock) -> Clock | None:
        """Ends the advance that the caller makes. None if the caller no longer advances it. Raises PyMongoError."""
        after = arrived(clock, real=utc_now())
        return await self._write_held(after, {"$set": {**_fields(after), "lease_until": None, "claim": None}})

    async def _write_held(self, after: Clock, change: Any) -> Clock | None:
        return await self._write(after, {"claim": after.claim, "state": "advancing"}, change)

    async def _write(self, after: Clock, before: Document, change: Any, *, upsert: bool = False) -> Clock | None:
        """The clock `after` the change; None if it was not in the expected state `before`."""
        try:
            result = await self._collection.update_one({"_id": "default", **before}, change, upsert=upsert)
        except DuplicateKeyError:
            return None
        if not (result.matched_count or result.upserted_id):
            return None
        self._seen.forget()
        return after


def _fields(clock: Clock) -> Document:
    """The fields to write; the lease and its token are left to claims."""
    document = to_document(clock)
    return {name: value for name, value in document.items() if name not in {"_id", "lease_until", "claim"}}
