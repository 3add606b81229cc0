"""Takes charges and refunds. Each is stored as pending, with its idempotency key, before the merchant is answered. A charge
is one insert. C5: one key is one charge. C25: a refund is a compare-and-set on its charge, so refunds never exceed it.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import msgspec
from msgspec.structs import replace

from payment_gateway.clock.stored_clock import StoredClock
from payment_gateway.faults.misbehave import Misbehave, Misbehaved
from payment_gateway.faults.scenario import charge_scenario, refund_scenario
from payment_gateway.money import charge as charges
from payment_gateway.money.charge import Charge, Refund, Refusal
from payment_gateway.money.settle import Settle
from payment_gateway.money.stored_charges import StoredCharges
from payment_gateway.store import Store
from shared import wire
from shared.documents.keys import change_once
from shared.idempotency import Answer, Key, KeyReused, keyed, new_key
from shared.not_found import NotFound
from shared.times import utc_now
from shared.tracing import current_trace, note, span


@dataclass(frozen=True)
class CreateMoney:
    """Creates. A charge or refund is pending for `delay`, unless its scenario says otherwise; `settle` is told when it
    ends. Raises ScenarioError, UnresolvedDuplicateError, PyMongoError, and what `Documents` raises.
    """

    store: Store
    charges: StoredCharges
    clock: StoredClock
    misbehave: Misbehave
    delay: timedelta
    settle: Settle

    async def charge(self, merchant: str, key: str, asked: wire.ChargeRequest) -> Answer | Misbehaved | KeyReused:
        note(reference=asked.reference)
        faults, now = await asyncio.gather(self.misbehave.faults.current(), self.clock.now())
        scenario = charge_scenario(asked.payment_method, asked.scenario, faults, key)
        charge = charges.new_charge(merchant, asked, scenario, now=now, delay=self.delay, trace=current_trace())
        remembered = new_key(
            keyed(key, "POST /v1/charges", asked),
            body=wire.encode(charges.on_the_wire(charge)),
            location=f"/v1/charges/{charge.id}",
            now=utc_now(),  # C24: keys stay on real time
        )
        create = partial(self._insert, replace(charge, keys=(remembered,)), now)
        with span("create charge"):
            return await self.misbehave.create(merchant, remembered, scenario, faults, create)

    async def _insert(self, charge: Charge, now: datetime) -> Answer | KeyReused:
        inserting = asyncio.create_task(self.charges.insert(charge))
        self.settle.expect_new(now, charge, inserting)
        return await inserting or charge.keys[0].answer

    async def refund(
        self, merchant: str, key: str, charge_id: str, asked: wire.RefundRequest
    ) -> Answer | Misbehaved | KeyReused | Refusal:
        document = await self.store.one(self.store.charges, merchant, charge_id)
        if isinstance(document, NotFound):
            return document
        note(reference=document["reference"])
        charge = msgspec.convert(document, Charge)
        faults = await self.misbehave.faults.current()
        scenario = refund_scenario(charge.payment_method, asked.scenario, faults, key)
        now = await self.clock.now()
        made = charges.new_refund(asked, scenario, now=now, delay=self.delay, trace=current_trace())
        remembered = new_key(
            keyed(key, f"POST /v1/charges/{charge_id}/refunds", asked),
            body=wire.encode(charges.refund_on_the_wire(charge, made)),
            location=f"/v1/refunds/{made.id}",
            now=utc_now(),  # C24: keys stay on real time
        )
        create, refusal = partial(self._refund, charge, made, remembered, now), charges.why_not(charge, asked.amount)
        with span("create refund"):
            return await self.misbehave.create(merchant, remembered, scenario, faults, create, refusal)

    async def _refund(self, charge: Charge, made: Refund, key: Key, now: datetime) -> Answer | KeyReused | Refusal:
        outcome: Answer | KeyReused | Refusal = await change_once(
            self.store.charges,
            charge.merchant,
            key,
            lambda: self.charges.change(charge.id, lambda found, read_at: charges.refund(found, made, key, read_at)),
        )
        if isinstance(outcome, Answer):
            self.settle.expect(now, made.settles_at)
        return outcome
