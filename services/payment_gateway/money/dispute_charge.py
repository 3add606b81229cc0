"""Opens and closes disputes at once, as a test asks. A compare-and-set writes the dispute with its mark, and the mark is
announced before the dispute is shown. C23: announced once. C25: a dispute takes no more than is left.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Literal

import msgspec
from msgspec.structs import replace

from payment_gateway.clock.stored_clock import StoredClock
from payment_gateway.money.announcement import marked
from payment_gateway.money.charge import Charge, ExceedsCharge, part
from payment_gateway.money.dispute import Dispute, closed
from payment_gateway.money.show import ShowMoney
from payment_gateway.money.stored_charges import StoredCharges
from payment_gateway.store import Store
from payment_gateway.webhooks.stored_endpoints import find_endpoints
from shared import wire
from shared.documents import Verdict
from shared.ids import new_id
from shared.not_found import NotFound
from shared.tracing import current_trace

DISPUTES_MAX = 100  # they are in the document of their charge


class NotDisputable(msgspec.Struct, frozen=True):
    """The charge has not succeeded."""

    status: wire.MoneyState


class TooManyDisputes(msgspec.Struct, frozen=True):
    """The charge already has DISPUTES_MAX."""


class ClosedOtherwise(msgspec.Struct, frozen=True):
    status: wire.DisputeState


Refusal = NotFound | NotDisputable | TooManyDisputes | ExceedsCharge | ClosedOtherwise


@dataclass(frozen=True)
class DisputeCharge:
    """Its methods raise PyMongoError, and what `Documents` raises."""

    store: Store
    charges: StoredCharges
    clock: StoredClock
    show: ShowMoney

    async def open(self, merchant: str, charge_id: str, amount: int | None, reason: str) -> wire.Dispute | Refusal:
        """Opens a dispute. `amount` is in minor units; None means all that is left of the charge."""
        dispute_id = new_id("dp")
        return await self._change(merchant, charge_id, dispute_id, partial(with_dispute, dispute_id, amount, reason))

    async def close(self, merchant: str, dispute_id: str, outcome: Literal["won", "lost"]) -> wire.Dispute | Refusal:
        wanted = {"disputes.id": dispute_id, "merchant": merchant}
        charges = await self.store.read(self.store.charges, {"$match": wanted}, {"$project": {"_id": 1}})
        if not charges:
            return NotFound("dispute")
        return await self._change(merchant, charges[0]["_id"], dispute_id, partial(with_closed, dispute_id, outcome))

    async def _change(
        self,
        merchant: str,
        charge_id: str,
        dispute_id: str,
        change: Callable[[Charge, datetime], Charge | Refusal],
    ) -> wire.Dispute | Refusal:
        endpoints = await find_endpoints(self.store, {"merchant": merchant, "state": "enabled"})
        now, trace = await self.clock.now(), current_trace()

        def decide(found: Charge | None, read_at: datetime | None) -> Verdict[Charge, Refusal | None]:
            if found is None or read_at is None or found.merchant != merchant:
                return Verdict(NotFound("charge"))
            after = change(found, now)
            if not isinstance(after, Charge):
                return Verdict(after)
            if after == found:
                return Verdict(None, found=True)
            subject = part(after, dispute_id)
            assert subject is not None
            after = replace(after, due_at=min(after.due_at or now, now))
            return Verdict(None, marked(after, subject, endpoints, now=now, read_at=read_at, trace=trace))

        refused = await self.charges.change(charge_id, decide)
        return refused or await self.show.dispute(merchant, dispute_id)


def with_dispute(
    dispute_id: str, amount: int | None, reason: str, charge: Charge, now: datetime
) -> Charge | NotDisputable | TooManyDisputes | ExceedsCharge:
    """The charge with that dispute open. Pure. C25: a dispute takes no more than is left."""
    if part(charge, dispute_id):  # our own effect
        return charge
    if charge.status != "succeeded":
        return NotDisputable(charge.status)
    if len(charge.disputes) >= DISPUTES_MAX:
        return TooManyDisputes()
    amount = charge.left if amount is None else amount
    if not 0 < amount <= charge.left:
        return ExceedsCharge(charge.left)
    dispute = Dispute(id=dispute_id, amount=amount, reason=reason, status="open", opens_at=now, created_at=now)
    return replace(charge, disputes=(*charge.disputes, dispute))


def with_closed(
    dispute_id: str, outcome: Literal["won", "lost"], charge: Charge, now: datetime
) -> Charge | NotFound | ClosedOtherwise:
    """The charge with that dispute closed, unchanged if it was closed so before. One that waits is not found. Pure."""
    dispute = part(charge, dispute_id)
    if not isinstance(dispute, Dispute) or dispute.status == "waiting":
        return NotFound("dispute")
    if dispute.status == outcome:
        return charge
    if dispute.status != "open":
        return ClosedOtherwise(dispute.status)
    ended = closed(dispute, outcome, now=now)
    return replace(charge, disputes=tuple(ended if one is dispute else one for one in charge.disputes))
