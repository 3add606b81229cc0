"""A charge, a refund of it and an endpoint, each with as little said as possible."""

from datetime import UTC, datetime, timedelta

from payment_gateway.faults.rates import NO_FAULTS
from payment_gateway.faults.scenario import Scenario, charge_scenario
from payment_gateway.money.charge import Charge, new_charge, settled
from payment_gateway.money.refund import Refund, new_refund
from payment_gateway.webhooks.endpoint import Endpoint, SigningSecret
from shared import wire

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


def a_refund() -> Refund:
    paid = settled(a_charge(), now=at(5))
    asked = wire.RefundRequest(amount=4000, reference="rf_1")
    return new_refund(paid, asked, Scenario(), now=NOW, delay=DELAY)


def an_endpoint(*event_types: wire.EventType) -> Endpoint:
    return Endpoint(
        id="we_1",
        merchant="default",
        url="https://shop.example/hooks",
        event_types=event_types,
        secrets=(SigningSecret(SECRET),),
        created_at=NOW,
    )
