"""Taking a charge: it is stored, pending, with its idempotency key, before the merchant is answered. One insert. C5"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from msgspec.structs import replace

from payment_gateway.clock.stored_clock import StoredClock
from payment_gateway.faults.misbehave import Misbehave, Misbehaved, Plan
from payment_gateway.faults.scenario import charge_scenario
from payment_gateway.money.charge import Charge, new_charge, on_the_wire
from payment_gateway.money.stored_charges import StoredCharges
from payment_gateway.store import Store
from shared import wire
from shared.documents.keys import known_key
from shared.idempotency import Answer, KeyReused, new_key
from shared.times import utc_now
from shared.tracing import current_trace, note, span

ENDPOINT = "POST /v1/charges"


class CreateCharge:
    """`expect` is told when it settles. Raises ScenarioError, PyMongoError, and what `Documents.insert` raises."""

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

    async def __call__(self, merchant: str, key: str, asked: wire.ChargeRequest) -> Answer | Misbehaved | KeyReused:
        note(reference=asked.reference)
        faults = await self._misbehave.faults.current()
        scenario = charge_scenario(asked.payment_method, asked.scenario, faults, key)
        now = await self._clock.now()
        charge = new_charge(merchant, asked, scenario, now=now, delay=self._delay, trace=current_trace())
        remembered = new_key(
            key,
            endpoint=ENDPOINT,
            command=asked,
            body=wire.encode(on_the_wire(charge)),
            location=f"/v1/charges/{charge.id}",
            now=utc_now(),  # keys stay on real time. C24
        )
        with span("create charge"):
            return await self._misbehave.create(
                merchant,
                remembered,
                Plan(scenario, faults, key),
                known=partial(known_key, self._store.charges, merchant, remembered),
                create=partial(self._insert, replace(charge, keys=(remembered,)), now),
            )

    async def _insert(self, charge: Charge, now: datetime) -> Answer | KeyReused:
        known = await self._charges.insert(charge)
        if known is not None:
            return known
        self._expect(now, charge.settles_at)
        return charge.keys[0].answer
