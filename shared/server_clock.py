"""The time by MongoDB's clock, for writes before which nothing is read. C3, C11: due times and leases are by that clock."""

import time
from datetime import UTC, datetime, timedelta

from shared.mongo import Client

LOOK_SECONDS = 10.0  # between two questions
KNOWN_SECONDS = 60.0  # an answer counts for so long, by our monotonic clock
ON_THE_WAY_SECONDS_MAX = 1.0  # an answer that took longer says too little


class ServerClock:
    """The clock of the primary, as it was read lately. Our own clock may be hours ahead or behind."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._looked_at = -KNOWN_SECONDS
        self._read: datetime | None = None

    async def look(self) -> None:
        """Reads it, unless it was read in the last LOOK_SECONDS. Raises PyMongoError."""
        asked_at = time.monotonic()
        if self._read is not None and asked_at < self._looked_at + LOOK_SECONDS:
            return
        reply = await self._client.admin.command("hello")
        if time.monotonic() < asked_at + ON_THE_WAY_SECONDS_MAX:
            self._looked_at, self._read = asked_at, reply["localTime"].replace(tzinfo=UTC)

    def now(self) -> datetime | None:
        """The server's time in whole milliseconds, never behind it and at most ON_THE_WAY_SECONDS_MAX ahead. None if it is
        not known.

        Until the next look it may be wrong after this machine was suspended, which stops its monotonic clock, or after a
        failover to a primary with another clock. Then a lease may end early; the provider knows the call by its key. C12
        """
        elapsed = time.monotonic() - self._looked_at
        if self._read is None or elapsed > KNOWN_SECONDS:
            return None
        return self._read + timedelta(milliseconds=int(1000 * elapsed) + 1)  # MongoDB leaves out fractions of one
