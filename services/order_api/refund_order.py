"""Refunds an order: key, reservation and call are one change of it. C18: no more is refunded than was paid."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeAlias

import msgspec

from order_api.facts import Refund
from order_api.merge import merge
from order_api.money import ExceedsPaid, NotRefundable, Part, refundable
from order_api.order import Order
from order_api.outbox import with_refund_asked
from order_api.store import Store
from order_api.views import refund_view, to_json
from shared.documents import Verdict
from shared.idempotency import Answer, KeyedRequest, KeyReused, entry_of, keyed, live, new_key
from shared.ids import new_id
from shared.not_found import NotFound
from shared.telemetry import log
from shared.times import utc_now
from shared.tracing import note, span

REFUNDS_MAX = 500  # that a merchant makes of one order, whose document must stay small enough to be written


class NewRefund(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request to give back `amount` in major units, or without it all that one charge has left. A key remembers its
    fingerprint, so a field that is added needs a default.
    """

    amount: Decimal | None = None
    number: str | None = None


class TooManyRefunds(msgspec.Struct, frozen=True):
    """The merchant has asked for REFUNDS_MAX refunds already. Refunds that others asked for do not count."""


class RefundNumberTaken(msgspec.Struct, frozen=True):
    """Another refund of the order has this number, whatever became of it."""

    number: str


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request, with its id and time, made once before the first try. `refund_id` tells its effect from another's. C4"""

    request: KeyedRequest
    new: NewRefund
    amount_minor: int | None
    refund_id: str
    at: datetime
    ttl: timedelta


Refusal: TypeAlias = NotRefundable | ExceedsPaid | TooManyRefunds | RefundNumberTaken
Outcome: TypeAlias = Answer | KeyReused | NotFound | Refusal


class RefundOrder:
    """Raises what `Store.change_once` raises; then the same key finds the truth."""

    def __init__(self, store: Store, *, idempotency_ttl: timedelta) -> None:
        self._store = store
        self._ttl = idempotency_ttl

    async def __call__(
        self, key: str, merchant: str, order_id: str, new: NewRefund, amount_minor: int | None
    ) -> Outcome:
        """`amount_minor` is the amount of `new` in minor units."""
        note(order_id=order_id)
        request, refund_id, at = keyed(key, f"POST /api/orders/{order_id}/refunds", new), new_id("rf"), utc_now()
        asked = Asked(request=request, new=new, amount_minor=amount_minor, refund_id=refund_id, at=at, ttl=self._ttl)
        with span("refund order"):
            outcome: Outcome = await self._store.change_once(
                merchant, order_id, asked.request, lambda order, now: refunded(order, asked, now)
            )
        if isinstance(outcome, Answer) and not outcome.replayed:
            log.info("refund asked for", refund_id=asked.refund_id)
        return outcome


def refunded(order: Order, asked: Asked, now: datetime) -> Verdict[Order, Outcome]:
    """The order with the refund reserved and asked for; `now` is the server's time."""
    known = entry_of(order.keys, asked.request.value)
    if made := next((one for one in order.refunds if one.id == asked.refund_id), None):  # our own effect
        return Verdict(known.answer if known and known.of == made.id else _answer(order, made), found=True)
    if known is not None and known.expires_at > now:
        return Verdict(known.replayed_for(asked.request), found=True)
    part = may_be_refunded(order, asked.amount_minor, asked.new.number)
    if not isinstance(part, Part):
        return Verdict(part)
    at, number = asked.at, asked.new.number
    refund = merchants_refund(part, asked.refund_id, number=number, at=at)
    key = new_key(
        asked.request,
        body=to_json(refund_view(refund, order)),
        location=f"/api/orders/{order.id}/refunds/{refund.id}",
        now=at,
        ttl=asked.ttl,
        status=202,
    )
    reserved = merge(with_refund_asked(order, refund, now=at), now=at, cause=f"refund asked for: {refund.id}")
    return Verdict(key.answer, msgspec.structs.replace(reserved, keys=(*live(order.keys, now), key)))


def _answer(order: Order, made: Refund) -> Answer:
    """The answer to a request whose key has expired since."""
    location = f"/api/orders/{order.id}/refunds/{made.id}"
    return Answer(202, to_json(refund_view(made, order)).decode(), location, replayed=False)


def may_be_refunded(order: Order, amount_minor: int | None, number: str | None = None) -> Part | Refusal:
    """The part of one charge to give back, or the reason why none may be. C18"""
    if number is not None and any(refund.number == number for refund in order.refunds):
        return RefundNumberTaken(number)
    if sum(refund.cause == "merchant" for refund in order.refunds) >= REFUNDS_MAX:
        return TooManyRefunds()
    return refundable(order, amount_minor)


def merchants_refund(part: Part, refund_id: str, *, number: str | None = None, at: datetime) -> Refund:
    return Refund(
        id=refund_id,
        charge_id=part.charge.id,
        amount_minor=part.amount_minor,
        cause="merchant",
        number=number,
        at=at,
    )
