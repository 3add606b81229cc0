"""Taking a charge: it is stored, pending, before the merchant is answered."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Never

from pymongo.asynchronous.client_session import AsyncClientSession

from payment_gateway.charge import Charge, new_charge, on_the_wire
from payment_gateway.store import Store
from payment_gateway.stored_clock import StoredClock
from shared import wire
from shared.create_once import Answer, CreateOnce, KeyReused
from shared.idempotency import created
from shared.mongo import to_document
from shared.times import utc_now
from shared.tracing import current_trace, note, span

ENDPOINT = "POST /v1/charges"


class CreateCharge:
    """Raises what CreateOnce raises."""

    def __init__(self, store: Store, clock: StoredClock, *, delay: timedelta) -> None:
        self._store = store
        self._clock = clock
        self._delay = delay
        self._create = CreateOnce[Charge, Never](
            store.client, store.idempotency_keys, self._write, name="create_charge"
        )
        self.commits = self._create.commits

    async def __call__(self, merchant: str, key: str, asked: wire.ChargeRequest) -> Answer | KeyReused:
        note(reference=asked.reference)
        charge = new_charge(merchant, asked, now=await self._clock.now(), delay=self._delay, trace=current_trace())
        record = created(
            merchant,
            key,
            endpoint=ENDPOINT,
            command=asked,
            body=wire.encode(on_the_wire(charge)),
            location=f"/v1/charges/{charge.id}",
            now=utc_now(),  # keys stay on real time. C24
        )
        with span("create charge"):
            return await self._create(record, charge)

    async def _write(self, charges: Sequence[Charge], session: AsyncClientSession) -> None:
        await self._store.charges.insert_many([to_document(charge) for charge in charges], session=session)
