"""A merchant gives money back: key, reservation and the call that asks for it, in one change of the order. C18"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeAlias

import msgspec

from order_api.order import Charge, Order, Refund, kept_charge, unreserved_minor
from order_api.outbox import ask_for_refund
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
    """A request to give back so much, or what is left. A key remembers its fingerprint: a field that is added needs a
    default.
    """

    amount_minor: int | None = None


class NotRefundable(msgspec.Struct, frozen=True):
    """No charge has succeeded, or the order is cancelled: then what was paid is given back by itself."""


class ExceedsPaid(msgspec.Struct, frozen=True):
    """More than the `left_minor` that no other refund has taken or asked for."""

    left_minor: int


class TooManyRefunds(msgspec.Struct, frozen=True):
    """The merchant has asked for REFUNDS_MAX already. Those that the service asks for by itself do not count."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request with all that is made once for it: `refund_id` tells its effect from that of another. C4"""

    merchant: str
    key: str
    new: NewRefund
    refund_id: str
    at: datetime
    ttl: timedelta


Outcome: TypeAlias = Answer | KeyReused | NotRefundable | ExceedsPaid | TooManyRefunds


class RefundOrder:
    """`wake` hints at new calls. Raises NoSuchOrderError, and what `change_once` and Changes raise; then the same key finds
    the truth.
    """

    def __init__(self, store: Store, *, idempotency_ttl: timedelta, wake: Callable[[], None]) -> None:
        self._store = store
        self._ttl = idempotency_ttl
        self._wake = wake

    async def __call__(self, key: str, merchant: str, order_id: str, new: NewRefund) -> Outcome:
        note(order_id=order_id)
        asked = Asked(merchant=merchant, key=key, new=new, refund_id=new_id("rf"), at=utc_now(), ttl=self._ttl)
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


def refundable(order: Order) -> Charge | NotRefundable:
    """The charge that a merchant may refund."""
    kept = kept_charge(order)
    return NotRefundable() if kept is None or order.cancelled_at is not None else kept


def refuse(order: Order, charge: Charge, amount_minor: int) -> ExceedsPaid | TooManyRefunds | None:
    """Why this much of `charge` cannot be refunded. C18"""
    if sum(refund.cause == "merchant" for refund in order.refunds) >= REFUNDS_MAX:
        return TooManyRefunds()
    left = unreserved_minor(order, charge)
    return None if 0 < amount_minor <= left else ExceedsPaid(left)


def endpoint_of(order_id: str) -> str:
    return f"POST /api/orders/{order_id}/refunds"


def _request(asked: Asked, order_id: str) -> KeyedRequest:
    endpoint = endpoint_of(order_id)
    return KeyedRequest(value=asked.key, endpoint=endpoint, fingerprint=fingerprint(endpoint, asked.new))


def refunded(order: Order, asked: Asked, now: datetime) -> Verdict[Order, Outcome]:
    """The order with the refund reserved and asked for; `now` is the server's time."""
    known = entry_of(order.keys, asked.key)
    if known is not None and known.of == asked.refund_id:  # our own effect
        return Verdict(known.answer, found=True)
    endpoint = endpoint_of(order.id)
    if known is not None and known.expires_at > now:
        return Verdict(known.replayed_for(_request(asked, order.id)), found=True)
    charge = refundable(order)
    if isinstance(charge, NotRefundable):
        return Verdict(charge)
    left = unreserved_minor(order, charge)
    amount_minor = left if asked.new.amount_minor is None else asked.new.amount_minor
    if refusal := refuse(order, charge, amount_minor):
        return Verdict(refusal)
    at = asked.at
    refund = Refund(id=asked.refund_id, charge_id=charge.id, amount_minor=amount_minor, cause="merchant", at=at)
    key = new_key(
        asked.key,
        endpoint=endpoint,
        command=asked.new,
        body=to_json(refund_view(refund, order)),
        location=f"/api/orders/{order.id}/refunds/{refund.id}",
        now=at,
        ttl=asked.ttl,
        status=202,
    )
    reserved = ask_for_refund(order, refund, now=at, why=refund.cause)
    return Verdict(key.answer, msgspec.structs.replace(reserved, keys=(*live(order.keys, now), key)))
