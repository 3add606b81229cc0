"""Taking a refund: a compare-and-set puts it into its charge, so refunds of one charge never exceed it. C25"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import msgspec

from payment_gateway.clock.stored_clock import StoredClock
from payment_gateway.faults.misbehave import Misbehave, Misbehaved, Plan
from payment_gateway.faults.scenario import refund_scenario
from payment_gateway.money.charge import Charge, NoSuchCharge, Refusal, refund, refund_on_the_wire, why_not
from payment_gateway.money.refund import Refund, new_refund
from payment_gateway.money.stored_charges import StoredCharges
from payment_gateway.store import Store
from shared import wire
from shared.documents.keys import change_once, known_key
from shared.idempotency import Answer, Key, KeyReused, new_key
from shared.times import utc_now
from shared.tracing import current_trace, note, span


class CreateRefund:
    """`expect` is told when it settles. Raises ScenarioError, UnresolvedDuplicateError, PyMongoError, and what
    `Documents.change` raises.
    """

    def __init__(
        self,
        store: Store,
        charges: StoredCharges,
        clock: StoredClock,
        misbehave: Misbehave,
        *,
        delay: timedelta,
        expect: Callable[[datetime, datetime], None],
    ) -> None:
        self._store = store
        self._charges = charges
        self._clock = clock
        self._misbehave = misbehave
        self._delay = delay
        self._expect = expect

    async def __call__(
        self, merchant: str, key: str, charge_id: str, asked: wire.RefundRequest
    ) -> Answer | Misbehaved | KeyReused | Refusal:
        document = await self._store.one(self._store.charges, merchant, charge_id)
        if document is None:
            return NoSuchCharge(charge_id)
        note(reference=document["reference"])
        charge = msgspec.convert(document, Charge)
        faults = await self._misbehave.faults.current()
        scenario = refund_scenario(charge.payment_method, asked.scenario, faults, key)
        now = await self._clock.now()
        made = new_refund(asked, scenario, now=now, delay=self._delay, trace=current_trace())
        remembered = new_key(
            key,
            endpoint=f"POST /v1/charges/{charge_id}/refunds",
            command=asked,
            body=wire.encode(refund_on_the_wire(charge, made)),
            location=f"/v1/refunds/{made.id}",
            now=utc_now(),  # keys stay on real time. C24
        )
        with span("create refund"):
            return await self._misbehave.create(
                merchant,
                remembered,
                Plan(scenario, faults, key),
                known=partial(known_key, self._store.charges, merchant, remembered),
                create=partial(self._refund, charge, made, remembered, now),
                refusal=why_not(charge, asked.amount),
            )

    async def _refund(self, charge: Charge, made: Refund, key: Key, now: datetime) -> Answer | KeyReused | Refusal:
        outcome: Answer | KeyReused | Refusal = await change_once(
            self._store.charges,
            charge.merchant,
            key,
            lambda: self._charges.change(
                charge.id, lambda found, read_at: refund(found, made, key, charge.id, read_at)
            ),
        )
        if isinstance(outcome, Answer):
            self._expect(now, made.settles_at)
        return outcome
