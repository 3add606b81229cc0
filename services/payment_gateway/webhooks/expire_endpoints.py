"""Deletes endpoints whose time is over, such as that of a listener that was killed."""

from collections.abc import Sequence

from payment_gateway.store import Store
from payment_gateway.webhooks import endpoint as endpoints
from payment_gateway.webhooks.stored_endpoints import StoredEndpoints
from shared.leases import LeasedWork
from shared.telemetry import log
from shared.times import utc_now

EXPIRED_MAX = 100  # in one round
POLL_SECONDS = 1.0  # an endpoint may outlive its time by so long

_OVER = {"expires_at": {"$type": "date"}, "$expr": {"$lte": ["$expires_at", "$$NOW"]}}


class ExpireEndpoints:
    """Deletes by the server's clock, as leases do. C24: the test clock does not move it.

    Each deletion is a compare-and-set that checks the time again, so of a renewal and a deletion the one written first
    counts. So it needs no lease, and two gateways at once do no harm.
    """

    def __init__(self, store: Store, stored_endpoints: StoredEndpoints) -> None:
        self._store = store
        self._endpoints = stored_endpoints
        self.work = LeasedWork[str](
            self._over, self._expire, name="expire_endpoints", slots=EXPIRED_MAX, poll_seconds=POLL_SECONDS
        )

    async def _over(self, limit: int) -> Sequence[str]:
        found = self._store.webhook_endpoints.find(_OVER, {"_id": 1}).limit(limit)
        return [one["_id"] async for one in found]

    async def _expire(self, endpoint_id: str) -> None:
        at = utc_now()
        is_deleted = await self._endpoints.change(
            endpoint_id, lambda found, read_at: endpoints.expired(found, read_at=read_at, at=at)
        )
        if is_deleted:
            log.info("webhook endpoint expired", endpoint_id=endpoint_id)
