"""Adds, changes and deletes webhook endpoints, and rotates their secrets. A secret is shown once, in the answer to the
request that made it. Pending deliveries to an endpoint that is disabled or deleted are cancelled when they fall due.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from payment_gateway.clock.stored_clock import StoredClock
from payment_gateway.store import Store
from payment_gateway.webhooks import endpoint as endpoints
from payment_gateway.webhooks.endpoint import Change, Endpoint, PlaceTaken, TooManyEndpoints, TooManyRotations
from payment_gateway.webhooks.header import Header
from payment_gateway.webhooks.stored_endpoints import StoredEndpoints, free_place
from payment_gateway.webhooks.views import with_secret
from shared import wire
from shared.batches import UnresolvedDuplicateError
from shared.documents import Verdict
from shared.documents.keys import change_once, known_key
from shared.idempotency import Answer, KeyReused, keyed, new_key
from shared.not_found import NotFound
from shared.times import utc_now


class NewEndpoint(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request for an endpoint. Without a `secret` one is made; without `expires_in_seconds` it never expires."""

    url: str
    event_types: tuple[wire.EventType, ...] = ()
    secret: str | None = None
    max_in_flight: int = endpoints.IN_FLIGHT_MAX
    headers: tuple[Header, ...] = ()
    expires_in_seconds: int | None = None


class Rotation(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request for a rotation. Without a `secret` one is made."""

    secret: str | None = None
    overlap_seconds: int = endpoints.OVERLAP_SECONDS


def expiry(seconds: int | None) -> datetime | None:
    """The real time at which an endpoint that lasts `seconds` expires. C24: the test clock does not move it."""
    return None if seconds is None else utc_now() + timedelta(seconds=seconds)


@dataclass(frozen=True)
class ChangeEndpoints:
    """Its methods raise PyMongoError, and what `Documents` and `change_once` raise."""

    store: Store
    endpoints: StoredEndpoints
    clock: StoredClock

    async def add(self, merchant: str, key: str, asked: NewEndpoint) -> Answer | KeyReused | TooManyEndpoints:
        """Adds an endpoint. Each takes a place of its own, so a merchant never has more than ENDPOINTS_MAX."""
        secret, now = asked.secret or endpoints.new_secret(), await self.clock.now()
        endpoint = msgspec.structs.replace(
            endpoints.new_endpoint(merchant, asked.url, secret, now=now),
            event_types=asked.event_types,
            max_in_flight=asked.max_in_flight,
            headers=asked.headers,
            expires_at=expiry(asked.expires_in_seconds),
        )
        remembered = new_key(
            keyed(key, "POST /v1/webhook-endpoints", asked),
            body=wire.encode(with_secret(endpoint)),
            location=f"/v1/webhook-endpoints/{endpoint.id}",
            now=utc_now(),  # C24: keys stay on real time
        )
        for _ in range(endpoints.ENDPOINTS_MAX):
            place = await free_place(self.store, merchant, new=True)
            if place is None:  # C5: one key is one thing, so the key is looked up before a refusal
                return await known_key(self.store.webhook_endpoints, merchant, remembered) or TooManyEndpoints()
            placed = msgspec.structs.replace(endpoint, keys=(remembered,), place=place)
            outcome = await self.endpoints.insert(placed)
            if not isinstance(outcome, PlaceTaken):
                return outcome or remembered.answer
        raise UnresolvedDuplicateError

    async def change(self, merchant: str, endpoint_id: str, change: Change) -> Endpoint | NotFound:
        """Returns the endpoint after the change. Once it is enabled, what is left of a resend to it goes on."""
        after: Endpoint | NotFound = await self.endpoints.change(
            endpoint_id, lambda found, _now: endpoints.changed(found, merchant, change)
        )
        if isinstance(after, Endpoint) and after.state == "enabled":
            await self.store.resends.update_one({"_id": endpoint_id}, {"$set": {"due_at": await self.clock.now()}})
        return after

    async def delete(self, merchant: str, endpoint_id: str) -> bool:
        """Returns whether there was one."""
        at = utc_now()  # C24: keys stay on real time
        return await self.endpoints.change(
            endpoint_id, lambda found, read_at: endpoints.deleted(found, merchant, read_at=read_at, at=at)
        )

    async def rotate_secret(
        self, merchant: str, key: str, endpoint_id: str, asked: Rotation
    ) -> Answer | KeyReused | NotFound | TooManyRotations:
        """Gives the endpoint a new secret. The old one signs too for a while, so that no delivery fails meanwhile."""
        document = await self.store.one(self.store.webhook_endpoints, merchant, endpoint_id)
        if isinstance(document, NotFound):
            return document
        overlap, now = timedelta(seconds=asked.overlap_seconds), await self.clock.now()
        secret = asked.secret or endpoints.new_secret()
        shown = endpoints.rotated(msgspec.convert(document, Endpoint), secret, overlap=overlap, now=now)
        remembered = new_key(
            keyed(key, f"POST /v1/webhook-endpoints/{endpoint_id}/rotate-secret", asked),
            body=wire.encode(with_secret(shown)),
            location=f"/v1/webhook-endpoints/{endpoint_id}",
            now=utc_now(),  # C24: keys stay on real time
        )

        def rotate(found: Endpoint | None, read_at: datetime | None) -> Verdict[Endpoint, Any]:
            return endpoints.rotate(found, secret, remembered, overlap=overlap, now=now, read_at=read_at)

        return await change_once(
            self.store.webhook_endpoints, merchant, remembered, lambda: self.endpoints.change(endpoint_id, rotate)
        )
