"""Announcing what has happened to endpoints, where whoever disabled one did not live to do so. C23"""

from collections.abc import Sequence

from payment_gateway.clock.stored_clock import StoredClock
from payment_gateway.store import Store
from payment_gateway.webhooks.announce import Announce
from payment_gateway.webhooks.endpoint import Endpoint
from payment_gateway.webhooks.passed_over import PassedOver
from payment_gateway.webhooks.stored_endpoints import read_endpoints
from shared.leases import LeasedWork
from shared.mongo import Document

AT_ONCE = 100
POLL_SECONDS = 2.0  # seldom, and never in a hurry


class AnnounceEndpoints:
    def __init__(self, store: Store, clock: StoredClock, announce: Announce[Endpoint]) -> None:
        self._store = store
        self._clock = clock
        self._announce = announce
        self._passed_over = PassedOver()
        self.work = LeasedWork[Sequence[Document]](
            self._claim, self._do, name="announce_endpoints", slots=1, poll_seconds=POLL_SECONDS
        )

    async def run_once(self) -> int:
        """Of how many endpoints something was announced. Raises PyMongoError."""
        found = await self._due()
        await self._do(found)
        return len(found)

    async def _claim(self, _limit: int) -> Sequence[Sequence[Document]]:
        return [found] if (found := await self._due()) else []

    async def _due(self) -> Sequence[Document]:
        due = {"due_at": {"$lte": await self._clock.now(), "$type": "date"}}
        return await read_endpoints(self._store, {"_id": {"$nin": self._passed_over.ids()}, **due}, limit=AT_ONCE)

    async def _do(self, found: Sequence[Document]) -> None:
        for endpoint_id in await self._announce(found):
            self._passed_over.add(endpoint_id)
