"""A document that all replicas share and that each reads all the time, as it was a moment ago."""

from typing import Generic, TypeVar

import msgspec

from shared.kept import Kept
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
        self._seen = Kept(self._find, seconds=SEEN_SECONDS)

    async def current(self) -> T:
        """Returns the document. Raises PyMongoError."""
        return await self._seen() if self._enabled else self._kind()

    async def read(self) -> T:
        """Reads the document as it is now. Raises PyMongoError."""
        self._seen.forget()
        return await self._seen()

    async def _find(self) -> T:
        found = await self._collection.find_one({"_id": "default"}, {"_id": 0})
        return msgspec.convert(found, self._kind) if found else self._kind()
