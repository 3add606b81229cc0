"""Taking a refund: its amount is reserved on the charge in the transaction that stores it, so refunds of one charge never
exceed it. C25
"""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import msgspec
from bson import Int64
from pymongo import UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession

from payment_gateway.clock.stored_clock import StoredClock
from payment_gateway.faults.misbehave import Misbehave, Misbehaved, Plan
from payment_gateway.faults.scenario import refund_scenario
from payment_gateway.money.charge import Charge
from payment_gateway.money.refund import Refund, new_refund, on_the_wire
from payment_gateway.store import Store
from shared import wire
from shared.create_once import CreateOnce
from shared.group_commit import StaleError
from shared.idempotency import Answer, KeyReused, created
from shared.mongo import to_document
from shared.times import utc_now
from shared.tracing import current_trace, note, span


class NoSuchCharge(msgspec.Struct, frozen=True):
    charge_id: str


class NotRefundable(msgspec.Struct, frozen=True):
    """The charge has not succeeded."""

    status: wire.MoneyState


class ExceedsCharge(msgspec.Struct, frozen=True):
    """More than `left`, in minor units."""

    left: int


Refusal = NoSuchCharge | NotRefundable | ExceedsCharge


class CreateRefund:
    """Raises ScenarioError, and what CreateOnce raises."""

    def __init__(self, store: Store, clock: StoredClock, misbehave: Misbehave, *, delay: timedelta) -> None:
        self._store = store
        self._clock = clock
        self._misbehave = misbehave
        self._delay = delay
        self._create = CreateOnce[Refund, Refusal](
            store.client,
            store.idempotency_keys,
            self._write,
            name="create_refund",
            refuse=self._refuse,
        )
        self.commits = self._create.commits

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
        refund = new_refund(charge, asked, scenario, now=now, delay=self._delay, trace=current_trace())
        record = created(
            merchant,
            key,
            endpoint=f"POST /v1/charges/{charge_id}/refunds",
            command=asked,
            body=wire.encode(on_the_wire(refund)),
            location=f"/v1/refunds/{refund.id}",
            now=utc_now(),  # keys stay on real time. C24
        )
        with span("create refund"):
            refusal = _refusal(charge, asked.amount, charge.amount - charge.amount_refunded)
            plan = Plan(scenario, faults, key)
            return await self._misbehave.create(self._create, record, refund, plan, refusal=refusal)

    async def _refuse(self, refunds: Sequence[Refund], session: AsyncClientSession) -> Sequence[Refusal | None]:
        found = self._store.charges.find({"_id": {"$in": [one.charge_id for one in refunds]}}, session=session)
        charges = {document["_id"]: msgspec.convert(document, Charge) async for document in found}
        left = {charge.id: charge.amount - charge.amount_refunded for charge in charges.values()}
        refusals: list[Refusal | None] = []
        for refund in refunds:
            if (charge := charges.get(refund.charge_id)) is None:  # a reset took it since it was looked up
                refusals.append(NoSuchCharge(refund.charge_id))
                continue
            refusal = _refusal(charge, refund.amount, left[charge.id])
            if refusal is None:
                left[charge.id] -= refund.amount
            refusals.append(refusal)
        return refusals

    async def _write(self, refunds: Sequence[Refund], session: AsyncClientSession) -> None:
        reserved: Counter[str] = Counter()
        for refund in refunds:
            reserved[refund.charge_id] += refund.amount
        writes = [
            UpdateOne(
                {"_id": charge_id, "$expr": {"$lte": [{"$add": ["$amount_refunded", amount]}, "$amount"]}},
                {"$inc": {"amount_refunded": Int64(amount)}},
            )
            for charge_id, amount in reserved.items()
        ]
        result = await self._store.charges.bulk_write(writes, ordered=False, session=session)
        if result.matched_count != len(writes):
            raise StaleError
        await self._store.refunds.insert_many([to_document(refund) for refund in refunds], session=session)


def _refusal(charge: Charge, amount: int, left: int) -> Refusal | None:
    if charge.status != "succeeded":
        return NotRefundable(charge.status)
    return ExceedsCharge(left) if amount > left else None
