"""Taking a charge: it is stored, pending, before the merchant is answered."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Never

from pymongo.asynchronous.client_session import AsyncClientSession

from payment_gateway.clock.stored_clock import StoredClock
from payment_gateway.faults.misbehave import Misbehave, Misbehaved, Plan
from payment_gateway.faults.scenario import charge_scenario
from payment_gateway.money.charge import Charge, new_charge, on_the_wire
from payment_gateway.store import Store
from shared import wire
from shared.create_once import CreateOnce
from shared.group_commit import Limits
from shared.idempotency import Answer, KeyReused, created
from shared.mongo import to_document
from shared.times import utc_now
from shared.tracing import current_trace, note, span

ENDPOINT = "POST /v1/charges"
# While one batch waits for the disk, requests are parsed for the next: a fifth more charges a second than with one.
LIMITS = Limits(batches_in_flight=2)


class CreateCharge:
    """Raises ScenarioError, and what CreateOnce raises."""

    def __init__(self, store: Store, clock: StoredClock, misbehave: Misbehave, *, delay: timedelta) -> None:
        self._store = store
        self._clock = clock
        self._misbehave = misbehave
        self._delay = delay
        self._create = CreateOnce[Charge, Never](
            store.client, store.idempotency_keys, self._write, name="create_charge", limits=LIMITS
        )
        self.commits = self._create.commits

    async def __call__(self, merchant: str, key: str, asked: wire.ChargeRequest) -> Answer | Misbehaved | KeyReused:
        note(reference=asked.reference)
        faults = await self._misbehave.faults.current()
        scenario = charge_scenario(asked.payment_method, asked.scenario, faults, key)
        now = await self._clock.now()
        charge = new_charge(merchant, asked, scenario, now=now, delay=self._delay, trace=current_trace())
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
            return await self._misbehave.create(self._create, record, charge, Plan(scenario, faults, key))

    async def _write(self, charges: Sequence[Charge], session: AsyncClientSession) -> None:
        await self._store.charges.insert_many([to_document(charge) for charge in charges], session=session)
