"""A customer pays again what has failed: key and the call of a new payment attempt, in one change of the order. C15"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeAlias

import msgspec

from order_api.merge import merge
from order_api.money import derive
from order_api.order import Order, Status, attempts
from order_api.outbox import charge_call
from order_api.store import Store
from order_api.views import order_view, to_json
from shared.documents import Verdict
from shared.documents.keys import change_once
from shared.idempotency import Answer, KeyedRequest, KeyReused, entry_of, fingerprint, live, new_key
from shared.ids import new_id
from shared.telemetry import log
from shared.times import utc_now
from shared.tracing import note, span

ATTEMPTS_MAX = 20  # of one order


class NewPayment(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request to pay in another way. A key remembers its fingerprint: a field that is added needs a default."""

    payment_method: str


class NotPayable(msgspec.Struct, frozen=True):
    """Only a Failed order can be paid again, and only until it has had ATTEMPTS_MAX attempts."""

    status: Status


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request with everything that is made once for it. C4: by `payment_id`, a second run recognises its own effect."""

    key: str
    new: NewPayment
    payment_id: str
    at: datetime
    ttl: timedelta


Outcome: TypeAlias = Answer | KeyReused | NotPayable


class PayOrder:
    """`wake` hints at new calls. Raises NoSuchOrderError, and what `change_once` and Changes raise; then the same key finds
    the truth.
    """

    def __init__(self, store: Store, *, idempotency_ttl: timedelta, wake: Callable[[], None]) -> None:
        self._store = store
        self._ttl = idempotency_ttl
        self._wake = wake

    async def __call__(self, key: str, merchant: str, order_id: str, new: NewPayment) -> Outcome:
        note(order_id=order_id)
        asked = Asked(key=key, new=new, payment_id=new_id("pay"), at=utc_now(), ttl=self._ttl)
        with span("pay order"):
            outcome: Outcome = await change_once(
                self._store.orders,
                merchant,
                _request(asked, order_id),
                lambda: self._store.change_own(merchant, order_id, lambda order, now: paid_again(order, asked, now)),
            )
        if isinstance(outcome, Answer) and not outcome.replayed:
            log.info("paid again", payment_method=new.payment_method)
            self._wake()
        return outcome


def _request(asked: Asked, order_id: str) -> KeyedRequest:
    endpoint = f"POST /api/orders/{order_id}/payments"
    return KeyedRequest(value=asked.key, endpoint=endpoint, fingerprint=fingerprint(endpoint, asked.new))


def paid_again(order: Order, asked: Asked, now: datetime) -> Verdict[Order, Outcome]:
    """The order with the call of a new attempt; `now` is the server's time."""
    request = _request(asked, order.id)
    known = entry_of(order.keys, asked.key)
    if known is not None and known.of == asked.payment_id:  # our own effect
        return Verdict(known.answer, found=True)
    if known is not None and known.expires_at > now:
        return Verdict(known.replayed_for(request), found=True)
    status = derive(order)  # an older version may have stored another
    if status != "Failed" or len(attempts(order)) >= ATTEMPTS_MAX:
        return Verdict(NotPayable(status))
    call = charge_call(order, asked.new.payment_method, at=asked.at)
    with_attempt = msgspec.structs.replace(order, calls=(*order.calls, call))
    after = merge(with_attempt, now=asked.at, cause=f"paid again with {asked.new.payment_method}")
    key = new_key(
        asked.key,
        endpoint=request.endpoint,
        command=asked.new,
        body=to_json(order_view(after)),
        location=f"/api/orders/{order.id}",
        now=asked.at,
        ttl=asked.ttl,
        status=202,
        of=asked.payment_id,
    )
    return Verdict(key.answer, msgspec.structs.replace(after, keys=(*live(order.keys, now), key)))
