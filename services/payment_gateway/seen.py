"""Single documents that all replicas share and ask for all the time, as they were a moment ago."""

import asyncio
import time
from typing import Generic, TypeVar

import msgspec

from shared.mongo import Collection

SEEN_SECONDS = 0.1  # after this every replica has seen a change

T = TypeVar("T", bound=msgspec.Struct)


class Seen(Generic[T]):
    """The document as read at most SEEN_SECONDS ago. If there is none, it is a `kind` of defaults; if the test endpoints are
    disabled, nothing is read.
    """

    def __init__(self, collection: Collection, kind: type[T], *, enabled: bool) -> None:
        self._collection = collection
        self._kind = kind
        self._enabled = enabled
        self._seen = kind()
        self._seen_at = self._seen_until = 0.0
        self._reading = asyncio.Lock()

    async def current(self) -> T:
        """Returns the document. Raises PyMongoError."""
        if self._enabled and time.monotonic() > self._seen_until:
            async with self._reading:  # another caller may have read it while we waited
                if time.monotonic() > self._seen_until:
                    await self.read()
        return self._seen

    async def read(self) -> T:
        """Reads the document as it is now. Raises PyMongoError."""
        asked_at = time.monotonic()
        found = await self._collection.find_one({"_id": "default"}, {"_id": 0})
        thing = msgspec.convert(found, self._kind) if found else self._kind()
        if asked_at >= self._seen_at:  # otherwise it may be older than what is already known
            self._see(thing, seen_at=asked_at, asked_at=asked_at)
        return thing

    def _see(self, thing: T, *, seen_at: float, asked_at: float) -> None:
        """Keeps `thing`, which was true at some moment after `asked_at`. Reads that began before `seen_at` may be older."""
        self._seen, self._seen_at, self._seen_until = thing, seen_at, asked_at + SEEN_SECONDS
