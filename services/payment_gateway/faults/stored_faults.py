"""Reading and setting the rates at which things go wrong, which all replicas share."""

import asyncio
import time

import msgspec

from payment_gateway.faults.rates import NO_FAULTS, Faults
from shared.mongo import Collection

SEEN_SECONDS = 0.1  # after this every replica has seen a change
_ID = "default"


class StoredFaults:
    """The rates as read at most SEEN_SECONDS ago. Where test endpoints are disabled nothing is read, and there are none."""

    def __init__(self, collection: Collection, *, enabled: bool) -> None:
        self._collection = collection
        self._enabled = enabled
        self._seen = NO_FAULTS
        self._seen_at = self._seen_until = 0.0
        self._reading = asyncio.Lock()

    async def current(self) -> Faults:
        """Raises PyMongoError."""
        if self._enabled and time.monotonic() > self._seen_until:
            async with self._reading:  # whoever waited finds them read
                if time.monotonic() > self._seen_until:
                    await self.read()
        return self._seen

    async def read(self) -> Faults:
        """As they are now. Raises PyMongoError."""
        asked_at = time.monotonic()
        found = await self._collection.find_one({"_id": _ID}, {"_id": 0})
        faults = msgspec.convert(found, Faults) if found else NO_FAULTS
        if asked_at >= self._seen_at:  # else they are older than what is known since
            self._seen, self._seen_at, self._seen_until = faults, asked_at, asked_at + SEEN_SECONDS
        return faults

    async def replace(self, faults: Faults) -> None:
        """Returns when every replica has seen them. Raises PyMongoError."""
        await self._collection.replace_one({"_id": _ID}, msgspec.to_builtins(faults), upsert=True)
        await self.read()
        await asyncio.sleep(SEEN_SECONDS)
