"""Sends a dead letter again, because a person says so. The provider is asked first what it has (C13, C17)."""

from datetime import datetime
from typing import TypeAlias

import msgspec

from order_api.calls import Call, death_id, redriven
from order_api.merge import merge
from order_api.order import Order
from order_api.outbox import call_by_id, may_be_redriven, with_call
from order_api.reviews import decided
from order_api.store import Store
from shared.batches import answered_within
from shared.documents import Verdict
from shared.ids import new_id
from shared.not_found import NotFound
from shared.telemetry import log
from shared.times import utc_now
from shared.tracing import note, span


class NotRedrivable(msgspec.Struct, frozen=True):
    """The call is not dead, its refund has ended, or it was redriven REDRIVES_MAX times. `call` is as it is."""

    call: Call


class Redriven(msgspec.Struct, frozen=True):
    order_id: str
    call: Call


Outcome: TypeAlias = Redriven | NotRedrivable | NotFound


class RedriveMessage:
    """Returns the call as it is afterwards. Raises what Changes raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def __call__(self, merchant: str, call_id: str) -> Outcome:
        redrive, at = new_id("rd"), utc_now()
        with span("redrive message"):
            async with answered_within():
                order_id, outcome = await self._redrive(merchant, call_id, redrive, at)
        if isinstance(outcome, Redriven):
            note(order_id=order_id)
            log.info("redriven", message_id=call_id, redrives=outcome.call.redrives)
        return outcome

    async def _redrive(self, merchant: str, call_id: str, redrive: str, at: datetime) -> tuple[str, Outcome]:
        """Redrives the call in the order that has it. That no order has it is believed only if the look-up says so again
        after the answer was confirmed, because a new primary may not know the order at first. C9
        """
        looked_at = ""
        outcome: Outcome = NotFound("message")
        while (order_id := await self._store.order_of_call(merchant, call_id)) != looked_at:
            looked_at = order_id
            outcome = await self._store.change(
                order_id, lambda order, now: redriving(order, merchant, call_id, redrive, at=at, now=now)
            )
            if not isinstance(outcome, NotFound):
                break
        return order_id, outcome


def redriving(
    order: Order | None, merchant: str, call_id: str, redrive: str, *, at: datetime, now: datetime | None
) -> Verdict[Order, Outcome]:
    """Sends the call again under the id `redrive`, by which a second run knows its own effect. C4"""
    call = call_by_id(order, call_id) if order is not None and order.merchant == merchant else None
    if order is None or call is None or now is None:
        return Verdict(NotFound("message"))
    if call.redrive == redrive:
        return Verdict(Redriven(order.id, call), found=True)
    if not may_be_redriven(call, order):
        return Verdict(NotRedrivable(call))
    again = redriven(call, redrive, at=at, now=now)
    raised = [one for one in order.reviews if one.event_id == death_id(call) and one.resolved_at is None]
    closed = decided(with_call(order, again), raised, "redriven", at=at)
    after = merge(closed, now=at, cause=f"redriven {call_id}")
    return Verdict(Redriven(order.id, again), after)
