"""Replacing an endpoint's secret. For a while the one before signs along, so that no delivery fails meanwhile."""

from datetime import timedelta

import msgspec

from payment_gateway.clock.stored_clock import StoredClock
from payment_gateway.store import Store
from payment_gateway.webhooks.endpoint import (
    OVERLAP_SECONDS,
    Endpoint,
    NoSuchEndpoint,
    TooManyRotations,
    new_secret,
    rotate,
    rotated,
)
from payment_gateway.webhooks.stored_endpoints import StoredEndpoints
from payment_gateway.webhooks.views import with_secret
from shared import wire
from shared.documents.keys import change_once
from shared.idempotency import Answer, KeyReused, new_key
from shared.times import utc_now


class Rotation(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is asked for. Without a `secret` one is made."""

    secret: str | None = None
    overlap_seconds: int = OVERLAP_SECONDS


class RotateSecret:
    """Raises PyMongoError and what `change_once` raises."""

    def __init__(self, store: Store, endpoints: StoredEndpoints, clock: StoredClock) -> None:
        self._store = store
        self._endpoints = endpoints
        self._clock = clock

    async def __call__(
        self, merchant: str, key: str, endpoint_id: str, asked: Rotation
    ) -> Answer | KeyReused | NoSuchEndpoint | TooManyRotations:
        document = await self._store.one(self._store.webhook_endpoints, merchant, endpoint_id)
        if document is None:
            return NoSuchEndpoint(endpoint_id)
        overlap, now = timedelta(seconds=asked.overlap_seconds), await self._clock.now()
        secret = asked.secret or new_secret()
        shown = rotated(msgspec.convert(document, Endpoint), secret, overlap=overlap, now=now)
        remembered = new_key(
            key,
            endpoint=f"POST /v1/webhook-endpoints/{endpoint_id}/rotate-secret",
            command=asked,
            body=wire.encode(with_secret(shown)),
            location=f"/v1/webhook-endpoints/{endpoint_id}",
            now=utc_now(),  # keys stay on real time. C24
        )
        return await change_once(
            self._store.webhook_endpoints,
            merchant,
            remembered,
            lambda: self._endpoints.change(
                endpoint_id,
                lambda found, read_at: rotate(
                    found, endpoint_id, secret, remembered, overlap=overlap, now=now, read_at=read_at
                ),
            ),
        )
