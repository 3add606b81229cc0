"""Adding a webhook endpoint. Its secret is shown in the answer, and to nobody who asks later."""

import msgspec

from payment_gateway.clock.stored_clock import StoredClock
from payment_gateway.store import Store
from payment_gateway.webhooks.endpoint import ENDPOINTS_MAX, TooManyEndpoints, new_endpoint, new_secret
from payment_gateway.webhooks.stored_endpoints import StoredEndpoints
from payment_gateway.webhooks.views import with_secret
from shared import wire
from shared.documents.keys import known_key
from shared.idempotency import Answer, KeyReused, new_key
from shared.times import utc_now

ENDPOINT = "POST /v1/webhook-endpoints"


class NewEndpoint(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is asked for. Without a `secret` one is made."""

    url: str
    event_types: tuple[wire.EventType, ...] = ()
    secret: str | None = None


class CreateEndpoint:
    """Raises PyMongoError and what `Documents.insert` raises."""

    def __init__(self, store: Store, endpoints: StoredEndpoints, clock: StoredClock) -> None:
        self._store = store
        self._endpoints = endpoints
        self._clock = clock

    async def __call__(self, merchant: str, key: str, asked: NewEndpoint) -> Answer | KeyReused | TooManyEndpoints:
        """Endpoints that are made at the same moment may pass the bound by as many."""
        secret = asked.secret or new_secret()
        endpoint = new_endpoint(merchant, asked.url, asked.event_types, secret, now=await self._clock.now())
        remembered = new_key(
            key,
            endpoint=ENDPOINT,
            command=asked,
            body=wire.encode(with_secret(endpoint)),
            location=f"/v1/webhook-endpoints/{endpoint.id}",
            now=utc_now(),  # keys stay on real time. C24
        )
        if known := await known_key(self._store.webhook_endpoints, merchant, remembered):
            return known
        there = {"merchant": merchant, "deleted_at": None}
        if await self._store.webhook_endpoints.count_documents(there, limit=ENDPOINTS_MAX) >= ENDPOINTS_MAX:
            return TooManyEndpoints()
        keyed = msgspec.structs.replace(endpoint, keys=(remembered,))
        return await self._endpoints.insert(keyed) or remembered.answer
