"""A merchant gives money back: key, reservation and the call that asks for it, in one change of the order. C18"""

from collections.abc import Callable
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
from shared.documents.keys import change_once
from shared.idempotency import Answer, KeyedRequest, KeyReused, entry_of, fingerprint, live, new_key
from shared.ids import new_id
from shared.telemetry import log
from shared.times import utc_now
from shared.tracing import note, span

REFUNDS_MAX = 500  # a merchant's, of one order: it is one document, which must stay small enough to be written


class NewRefund(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request to give back so much in major units, or what one charge has left. A key remembers its fingerprint: a field
    that is added needs a default.
    """

    amount: Decimal | None = None
    number: str | None = None


class TooManyRefunds(msgspec.Struct, frozen=True):
    """The merchant has asked for REFUNDS_MAX already. Others do not count."""


class RefundNumberTaken(msgspec.Struct, frozen=True):
    """Another refund of the order has this number, whatever became of it."""

    number: str


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request with everything that is made once for it. C4: by `refund_id`, a second run recognises its own effect."""

    key: str
    new: NewRefund
    amount_minor: int | None
    refund_id: str
    at: datetime
    ttl: timedelta


Refusal: TypeAlias = NotRefundable | ExceedsPaid | TooManyRefunds | RefundNumberTaken
Outcome: TypeAlias = Answer | KeyReused | Refusal


class RefundOrder:
    """`wake` hints at new calls. Raises NoSuchOrderError, and what `change_once` and Changes raise; then the same key finds
    the truth.
    """

    def __init__(self, store: Store, *, idempotency_ttl: timedelta, wake: Callable[[], None]) -> None:
        self._store = store
        self._ttl = idempotency_ttl
        self._wake = wake

    async def __call__(
        self, key: str, merchant: str, order_id: str, new: NewRefund, amount_minor: int | None
    ) -> Outcome:
        """`amount_minor` is the amount of `new` in minor units."""
        note(order_id=order_id)
        asked = Asked(
            key=key,
            new=new,
            amount_minor=amount_minor,
            refund_id=new_id("rf"),
            at=utc_now(),
            ttl=self._ttl,
        )
        with span("refund order"):
            outcome: Outcome = await change_once(
                self._store.orders,
                merchant,
                _request(asked, order_id),
                lambda: self._store.change_own(merchant, order_id, lambda order, now: refunded(order, asked, now)),
            )
        if isinstance(outcome, Answer) and not outcome.replayed:
            log.info("refund asked for", refund_id=asked.refund_id)
            self._wake()
        return outcome


def _request(asked: Asked, order_id: str) -> KeyedRequest:
    endpoint = f"POST /api/orders/{order_id}/refunds"
    return KeyedRequest(value=asked.key, endpoint=endpoint, fingerprint=fingerprint(endpoint, asked.new))


def refunded(order: Order, asked: Asked, now: datetime) -> Verdict[Order, Outcome]:
    """The order with the refund reserved and asked for; `now` is the server's time."""
    request = _request(asked, order.id)
    known = entry_of(order.keys, asked.key)
    if made := next((one for one in order.refunds if one.id == asked.refund_id), None):  # our own effect
        return Verdict(known.answer if known and known.of == made.id else _answer(order, made), found=True)
    if known is not None and known.expires_at > now:
        return Verdict(known.replayed_for(request), found=True)
    part = may_be_refunded(order, asked.amount_minor, asked.new.number)
    if not isinstance(part, Part):
        return Verdict(part)
    at, number = asked.at, asked.new.number
    refund = merchants_refund(part, asked.refund_id, number=number, at=at)
    key = new_key(
        asked.key,
        endpoint=request.endpoint,
        command=asked.new,
        body=to_json(refund_view(refund, order)),
        location=f"/api/orders/{order.id}/refunds/{refund.id}",
        now=at,
        ttl=asked.ttl,
        status=202,
    )
    reserved = merge(with_refund_asked(order, refund, now=at), now=at, cause=f"refund asked for: {refund.id}")
    return Verdict(key.answer, msgspec.structs.replace(reserved, keys=(*live(order.keys, now), key)))


def _answer(order: Order, made: Refund) -> Answer:
    """To a request whose key has expired since."""
    location = f"/api/orders/{order.id}/refunds/{made.id}"
    return Answer(202, to_json(refund_view(made, order)).decode(), location, replayed=False)


def may_be_refunded(order: Order, amount_minor: int | None, number: str | None = None) -> Part | Refusal:
    """So much of one charge, or why it cannot be given back. C18"""
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
