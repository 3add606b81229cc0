"""A paid charge and its event as the provider sends them, for tools and tests that stand in for the provider."""

from typing import Any

from shared.ids import new_id
from shared.times import utc_now
from shared.wire import Charge, Event, encode


def paid_charge(reference: str, /, **others: Any) -> Charge:
    """A charge of 99.99 USD that has succeeded just now. `others` are fields that differ."""
    now = utc_now()
    usual: dict[str, Any] = {
        "id": new_id("ch"),
        "amount": 9999,
        "currency": "USD",
        "reference": reference,
        "status": "succeeded",
        "failure_code": None,
        "amount_refunded": 0,
        "payment_method": "pm_card_visa",
        "metadata": {},
        "created_at": now,
        "settled_at": now,
    }
    return Charge(**{**usual, **others})


def event_of(charge: Charge, event_id: str | None = None) -> bytes:
    """The body of the webhook that says that this charge has succeeded, when it did."""
    assert charge.settled_at is not None, "it is not settled"
    event_id = event_id or new_id("evt")
    return encode(Event(id=event_id, type="payment.succeeded", timestamp=charge.settled_at, data=charge))
