import msgspec
import pytest

from payment_gateway.money import charge as charges
from payment_gateway.money import refund as refunds
from payment_gateway.money.announcement import settled_event
from payment_gateway.money.charge import Charge
from payment_gateway.money.refund import Refund
from shared import wire
from tests.unit.payment_gateway.examples import a_charge, a_refund, at


def paid() -> Charge:
    return charges.settled(a_charge(), now=at(5))


def declined() -> Charge:
    return charges.settled(a_charge("pm_card_declined"), now=at(5))


def refunded() -> Refund:
    return refunds.settled(a_refund(), now=at(5))


def not_refunded() -> Refund:
    return msgspec.structs.replace(refunded(), status="failed", failure_code="bank_said_no")


@pytest.mark.parametrize("subject", [paid(), declined(), refunded(), not_refunded()])
def test_two_gateways_that_settle_one_object_make_one_event(subject: Charge | Refund) -> None:
    """C23: the id follows from the object's id and the type, not from when or where."""
    assert settled_event(subject, now=at(5)).id == settled_event(subject, now=at(6)).id


@pytest.mark.parametrize("subject", [paid(), refunded()])
def test_another_end_is_another_event(subject: Charge | Refund) -> None:
    """C23"""
    failed = msgspec.structs.replace(subject, status="failed")
    assert settled_event(subject, now=at(5)).id != settled_event(failed, now=at(5)).id


def test_another_object_is_another_event() -> None:
    assert settled_event(paid(), now=at(5)).id != settled_event(paid(), now=at(5)).id


@pytest.mark.parametrize(
    ("subject", "kind"),
    [
        (paid(), "payment.succeeded"),
        (declined(), "payment.failed"),
        (refunded(), "refund.succeeded"),
        (not_refunded(), "refund.failed"),
    ],
)
def test_the_type_says_how_it_ended(subject: Charge | Refund, kind: str) -> None:
    event = settled_event(subject, now=at(5))
    envelope = msgspec.json.decode(event.raw, type=wire.EventEnvelope)
    assert event.type == envelope.type == kind


@pytest.mark.parametrize("subject", [paid(), declined()])
def test_the_bytes_of_a_payment_event_hold_the_charge_as_it_is_shown(subject: Charge) -> None:
    event = settled_event(subject, now=at(5))
    envelope = msgspec.json.decode(event.raw, type=wire.EventEnvelope)
    assert (envelope.id, envelope.timestamp) == (event.id, at(5))
    assert msgspec.json.decode(envelope.data, type=wire.Charge) == charges.on_the_wire(subject)


@pytest.mark.parametrize("subject", [refunded(), not_refunded()])
def test_the_bytes_of_a_refund_event_hold_the_refund_as_it_is_shown(subject: Refund) -> None:
    event = settled_event(subject, now=at(5))
    envelope = msgspec.json.decode(event.raw, type=wire.EventEnvelope)
    assert (envelope.id, envelope.timestamp) == (event.id, at(5))
    assert msgspec.json.decode(envelope.data, type=wire.Refund) == refunds.on_the_wire(subject)


@pytest.mark.parametrize("subject", [paid(), refunded()])
def test_an_event_is_found_by_what_the_merchant_calls_the_payment(subject: Charge | Refund) -> None:
    event = settled_event(subject, now=at(5))
    assert (event.reference, event.object_id, event.merchant) == ("ord_1", subject.id, "default")


def test_times_in_an_event_are_rfc_3339_in_utc_with_milliseconds() -> None:
    assert '"timestamp":"2024-03-01T12:00:05.000Z"' in settled_event(paid(), now=at(5)).raw
