"""Documents of which there is one, for all replicas, and which are asked for all the time: as they were a moment ago."""

import asyncio
import time
from typing import Generic, TypeVar

import msgspec

from shared.mongo import Collection

SEEN_SECONDS = 0.1  # after this every replica has seen a change

T = TypeVar("T", bound=msgspec.Struct)


class Seen(Generic[T]):
    """The document as read at most SEEN_SECONDS ago; while there is none, a `kind` of defaults. Where test endpoints are
    disabled nothing is read.
    """

    def __init__(self, collection: Collection, kind: type[T], *, enabled: bool) -> None:
        self._collection = collection
        self._kind = kind
        self._enabled = enabled
        self._seen = kind()
        self._seen_at = self._seen_until = 0.0
        self._reading = asyncio.Lock()

    async def current(self) -> T:
        """Raises PyMongoError."""
        if self._enabled and time.monotonic() > self._seen_until:
            async with self._reading:  # whoever waited finds it read
                if time.monotonic() > self._seen_until:
                    await self.read()
        return self._seen

    async def read(self) -> T:
        """As it is now. Raises PyMongoError."""
        asked_at = time.monotonic()
        found = await self._collection.find_one({"_id": "default"}, {"_id": 0})
        thing = msgspec.convert(found, self._kind) if found else self._kind()
        if asked_at >= self._seen_at:  # else it may be older than what is known since
            self._see(thing, seen_at=asked_at, asked_at=asked_at)
        return thing

    def _see(self, thing: T, *, seen_at: float, asked_at: float) -> None:
        """`thing` was so at some moment from `asked_at` on; a read that was asked for before `seen_at` may be older."""
        self._seen, self._seen_at, self._seen_until = thing, seen_at, asked_at + SEEN_SECONDS
