"""Cancelling an order that nobody has paid, and its charge if that was never sent: one change of one document.

A charge that was sent may succeed yet. The order then stays Cancelled and the money is given back by itself. C17, C22
"""

from datetime import datetime
from typing import TypeAlias

import msgspec

from order_api.facts import Cancellation
from order_api.merge import merge
from order_api.money import succeeded
from order_api.order import Order
from order_api.store import Store
from shared.documents import Verdict
from shared.ids import new_id
from shared.telemetry import log
from shared.times import utc_now
from shared.tracing import note, span


class NotCancellable(msgspec.Struct, frozen=True):
    """A charge has succeeded: what is paid can be refunded, not cancelled."""


class Cancelled(msgspec.Struct, frozen=True):
    """`order` is cancelled; `newly` by this request."""

    order: Order
    newly: bool


Outcome: TypeAlias = Cancelled | NotCancellable


class CancelOrder:
    """Raises NoSuchOrderError and what Changes raises; asking again is safe, and then finds the truth."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def __call__(self, merchant: str, order_id: str) -> Outcome:
        note(order_id=order_id)
        request, at = new_id("cx"), utc_now()
        with span("cancel order"):
            outcome = await self._store.change_own(
                merchant, order_id, lambda order, _now: cancelled(order, request, at=at)
            )
        if isinstance(outcome, Cancelled) and outcome.newly:
            log.info("order cancelled")
        return outcome


def cancelled(order: Order, request: str, *, at: datetime) -> Verdict[Order, Outcome]:
    """Cancels at the time `at`. C4: by `request`, a second run recognises its own effect."""
    if order.cancelled_at is not None:
        return Verdict(Cancelled(order, newly=order.cancelled_by == request), found=True)
    if succeeded(order):
        return Verdict(NotCancellable())
    knowing = merge(order, Cancellation(at), now=at, cause="cancelled by the merchant")
    after = msgspec.structs.replace(knowing, cancelled_by=request)
    return Verdict(Cancelled(after, newly=True), after)
