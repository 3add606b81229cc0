"""Replacing an endpoint's secret. For a while the one before signs along, so that no delivery fails meanwhile."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from pymongo import UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession

from payment_gateway.clock.stored_clock import StoredClock
from payment_gateway.store import Store
from payment_gateway.webhooks.endpoint import OVERLAP_SECONDS, Endpoint, new_secret, rotated
from payment_gateway.webhooks.stored_endpoints import find_endpoints
from payment_gateway.webhooks.views import with_secret
from shared import wire
from shared.create_once import CreateOnce
from shared.group_commit import StaleError
from shared.idempotency import Answer, KeyReused, created
from shared.mongo import to_document
from shared.times import utc_now


class Rotation(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is asked for. Without a `secret` one is made."""

    secret: str | None = None
    overlap_seconds: int = OVERLAP_SECONDS


class NoSuchEndpoint(msgspec.Struct, frozen=True):
    endpoint_id: str


class _Rotated(msgspec.Struct, frozen=True):
    endpoint_id: str
    secret: str
    overlap: timedelta
    at: datetime

    def __repr__(self) -> str:
        return f"_Rotated({self.endpoint_id!r})"


class RotateSecret:
    """Raises what CreateOnce raises."""

    def __init__(self, store: Store, clock: StoredClock) -> None:
        self._store = store
        self._clock = clock
        self._create = CreateOnce[_Rotated, NoSuchEndpoint](
            store.client, store.idempotency_keys, self._write, name="rotate_secret", refuse=self._refuse
        )
        self.commits = self._create.commits

    async def __call__(
        self, merchant: str, key: str, endpoint_id: str, asked: Rotation
    ) -> Answer | KeyReused | NoSuchEndpoint:
        document = await self._store.one(self._store.webhook_endpoints, merchant, endpoint_id)
        if document is None:
            return NoSuchEndpoint(endpoint_id)
        overlap, now = timedelta(seconds=asked.overlap_seconds), await self._clock.now()
        rotation = _Rotated(endpoint_id, asked.secret or new_secret(), overlap, now)
        shown = rotated(msgspec.convert(document, Endpoint), rotation.secret, overlap=overlap, now=now)
        record = created(
            merchant,
            key,
            endpoint=f"POST /v1/webhook-endpoints/{endpoint_id}/rotate-secret",
            command=asked,
            body=wire.encode(with_secret(shown)),
            location=f"/v1/webhook-endpoints/{endpoint_id}",
            now=utc_now(),  # keys stay on real time. C24
        )
        return await self._create(record, rotation)

    async def _refuse(
        self, rotations: Sequence[_Rotated], session: AsyncClientSession
    ) -> Sequence[NoSuchEndpoint | None]:
        there = await self._endpoints(rotations, session)
        return [None if one.endpoint_id in there else NoSuchEndpoint(one.endpoint_id) for one in rotations]

    async def _write(self, rotations: Sequence[_Rotated], session: AsyncClientSession) -> None:
        endpoints = await self._endpoints(rotations, session)
        for one in rotations:  # several of one endpoint may come together: each replaces the one before
            was = endpoints[one.endpoint_id]
            endpoints[was.id] = rotated(was, one.secret, overlap=one.overlap, now=one.at)
        writes = [
            UpdateOne({"_id": endpoint.id}, {"$set": {"secrets": to_document(endpoint)["secrets"]}})
            for endpoint in endpoints.values()
        ]
        result = await self._store.webhook_endpoints.bulk_write(writes, ordered=False, session=session)
        if result.matched_count != len(writes):
            raise StaleError

    async def _endpoints(self, rotations: Sequence[_Rotated], session: AsyncClientSession) -> dict[str, Endpoint]:
        ids = list({one.endpoint_id for one in rotations})
        return {
            one.id: one for one in await find_endpoints(self._store.webhook_endpoints, {"_id": {"$in": ids}}, session)
        }
