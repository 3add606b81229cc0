"""Sending a dead letter again, because a person says so. The provider is asked before anything is posted. C13, C17"""

from collections.abc import Callable
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
from shared.telemetry import log
from shared.times import utc_now
from shared.tracing import note, span


class NoSuchMessage(msgspec.Struct, frozen=True):
    pass


class NotRedrivable(msgspec.Struct, frozen=True):
    """It is not dead, or was redriven REDRIVES_MAX times. `call` is as it is."""

    call: Call


class Redriven(msgspec.Struct, frozen=True):
    order_id: str
    call: Call


Outcome: TypeAlias = Redriven | NotRedrivable | NoSuchMessage


class RedriveMessage:
    """The call as it is then. Raises what Changes raises. `wake` hints at a call that is due."""

    def __init__(self, store: Store, *, wake: Callable[[], None]) -> None:
        self._store = store
        self._wake = wake

    async def __call__(self, merchant: str, call_id: str) -> Outcome:
        redrive, at = new_id("rd"), utc_now()
        with span("redrive message"):
            async with answered_within():
                order_id, outcome = await self._redrive(merchant, call_id, redrive, at)
        if isinstance(outcome, Redriven):
            note(order_id=order_id)
            log.info("redriven", message_id=call_id, redrives=outcome.call.redrives)
            self._wake()
        return outcome

    async def _redrive(self, merchant: str, call_id: str, redrive: str, at: datetime) -> tuple[str, Outcome]:
        """The order that has the call, and the outcome. If the look-up finds none, it is repeated after the answer was
        confirmed, because a new primary may not know the order before. C9: no failover takes an answer back.
        """
        looked_at = ""
        outcome: Outcome = NoSuchMessage()
        while (order_id := await self._store.order_of_call(merchant, call_id)) != looked_at:
            looked_at = order_id
            outcome = await self._store.change(
                order_id, lambda order, now: redriving(order, merchant, call_id, redrive, at=at, now=now)
            )
            if not isinstance(outcome, NoSuchMessage):
                break
        return order_id, outcome


def redriving(
    order: Order | None, merchant: str, call_id: str, redrive: str, *, at: datetime, now: datetime | None
) -> Verdict[Order, Outcome]:
    """Sends the call again under the id `redrive`, by which a second run knows its own effect. C4"""
    call = call_by_id(order, call_id) if order is not None and order.merchant == merchant else None
    if order is None or call is None or now is None:
        return Verdict(NoSuchMessage())
    if call.redrive == redrive:
        return Verdict(Redriven(order.id, call), found=True)
    if not may_be_redriven(call, order):
        return Verdict(NotRedrivable(call))
    again = redriven(call, redrive, at=at, now=now)
    raised = [one for one in order.reviews if one.event_id == death_id(call) and one.resolved_at is None]
    closed = decided(with_call(order, again), raised, "redriven", at=at)
    after = merge(closed, now=at, cause=f"redriven {call_id}")
    return Verdict(Redriven(order.id, again), after)
