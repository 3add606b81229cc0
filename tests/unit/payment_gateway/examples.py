"""A charge, a refund of it, their keys and an endpoint, each with as little said as possible."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from payment_gateway.faults.rates import NO_FAULTS
from payment_gateway.faults.scenario import Scenario, charge_scenario
from payment_gateway.money.charge import Charge, Refund, ended, new_charge, new_refund
from payment_gateway.money.dispute import Dispute
from payment_gateway.webhooks.endpoint import Endpoint, SigningSecret
from shared import wire
from shared.idempotency import Key, keyed, new_key

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)
DELAY = timedelta(seconds=5)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def a_charge(payment_method: str = "pm_card_visa") -> Charge:
    asked = wire.ChargeRequest(
        amount=9999, currency="USD", reference="ord_1", payment_method=payment_method, metadata={"basket": "7"}
    )
    scenario = charge_scenario(payment_method, {}, NO_FAULTS, "key")
    return new_charge("default", asked, scenario, now=NOW, delay=DELAY)


def paid(payment_method: str = "pm_card_visa") -> Charge:
    """A charge that has ended and been announced."""
    return msgspec.structs.replace(ended(a_charge(payment_method), now=at(5)), due_at=None)


def a_refund(amount: int = 4000, **scenario: Any) -> Refund:
    asked = wire.RefundRequest(amount=amount, reference="rf_1")
    return new_refund(asked, Scenario(**scenario), now=NOW, delay=DELAY)


def a_dispute(amount: int = 4000, **changes: Any) -> Dispute:
    return Dispute(id="dp_1", amount=amount, **{"status": "open", "opens_at": NOW, "created_at": NOW, **changes})


def a_key(value: str = "key", *, of: str = "re_1", command: object = "command") -> Key:
    return new_key(
        keyed(value, "POST /v1/charges/ch_1/refunds", command),
        body=b"{}",
        location=f"/v1/refunds/{of}",
        now=NOW,
    )


def an_endpoint(*event_types: wire.EventType) -> Endpoint:
    return Endpoint(
        id="we_1",
        merchant="default",
        url="https://shop.example/hooks",
        event_types=event_types,
        secrets=(SigningSecret(SECRET),),
        created_at=NOW,
    )
