"""Changing a webhook endpoint, and removing it. What is pending for one that is disabled or gone is cancelled when due."""

from payment_gateway.store import Store
from payment_gateway.webhooks.endpoint import Change, Endpoint, changed, deleted
from payment_gateway.webhooks.stored_endpoints import StoredEndpoints
from shared.times import utc_now


class ChangeEndpoint:
    """Raises PyMongoError and what `Documents.change` raises."""

    def __init__(self, store: Store, endpoints: StoredEndpoints) -> None:
        self._store = store
        self._endpoints = endpoints

    async def __call__(self, merchant: str, endpoint_id: str, change: Change) -> Endpoint | None:
        """The endpoint after the change; None if there is none."""
        if await self._store.one(self._store.webhook_endpoints, merchant, endpoint_id) is None:
            return None
        return await self._endpoints.change(endpoint_id, lambda found, _now: changed(found, change))

    async def delete(self, merchant: str, endpoint_id: str) -> bool:
        """Whether there was one."""
        if await self._store.one(self._store.webhook_endpoints, merchant, endpoint_id) is None:
            return False
        at = utc_now()  # keys stay on real time. C24
        return await self._endpoints.change(endpoint_id, lambda found, _now: deleted(found, at=at))
