"""Adding a webhook endpoint. Its secret is shown in the answer, and to nobody who asks later."""

from collections.abc import Sequence
from typing import Never

import msgspec
from pymongo.asynchronous.client_session import AsyncClientSession

from payment_gateway.clock.stored_clock import StoredClock
from payment_gateway.store import Store
from payment_gateway.webhooks.endpoint import Endpoint, new_endpoint, new_secret
from payment_gateway.webhooks.views import with_secret
from shared import wire
from shared.create_once import CreateOnce
from shared.idempotency import Answer, KeyReused, created
from shared.mongo import to_document
from shared.times import utc_now

ENDPOINT = "POST /v1/webhook-endpoints"


class NewEndpoint(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is asked for. Without a `secret` one is made."""

    url: str
    event_types: tuple[wire.EventType, ...] = ()
    secret: str | None = None


class CreateEndpoint:
    """Raises what CreateOnce raises."""

    def __init__(self, store: Store, clock: StoredClock) -> None:
        self._store = store
        self._clock = clock
        self._create = CreateOnce[Endpoint, Never](
            store.client, store.idempotency_keys, self._write, name="create_endpoint"
        )
        self.commits = self._create.commits

    async def __call__(self, merchant: str, key: str, asked: NewEndpoint) -> Answer | KeyReused:
        secret = asked.secret or new_secret()
        endpoint = new_endpoint(merchant, asked.url, asked.event_types, secret, now=await self._clock.now())
        record = created(
            merchant,
            key,
            endpoint=ENDPOINT,
            command=asked,
            body=wire.encode(with_secret(endpoint)),
            location=f"/v1/webhook-endpoints/{endpoint.id}",
            now=utc_now(),  # keys stay on real time. C24
        )
        return await self._create(record, endpoint)

    async def _write(self, endpoints: Sequence[Endpoint], session: AsyncClientSession) -> None:
        await self._store.webhook_endpoints.insert_many([to_document(one) for one in endpoints], session=session)
