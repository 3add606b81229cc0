import msgspec
import pytest

from payment_gateway.money import charge as charges
from payment_gateway.money.announcement import marks_of
from payment_gateway.money.charge import Charge, Part, Refund
from payment_gateway.webhooks.event import Mark
from shared import wire
from tests.unit.payment_gateway.examples import NOW, a_charge, a_dispute, a_refund, an_endpoint, at, paid

CHARGE = paid()


def declined() -> Charge:
    return charges.ended(a_charge("pm_card_declined"), now=at(5))


def refunded() -> Refund:
    return charges.ended(a_refund(), now=at(5))


def not_refunded() -> Refund:
    return msgspec.structs.replace(refunded(), status="failed", failure_code="bank_said_no")


def mark_of(subject: Part, seconds: float = 5) -> Mark:
    [mark] = marks_of(subject if isinstance(subject, Charge) else CHARGE, subject, [an_endpoint()], now=at(seconds))
    return mark


@pytest.mark.parametrize("subject", [paid(), declined(), refunded(), not_refunded()])
def test_two_gateways_that_settle_one_object_make_one_event(subject: Charge | Refund) -> None:
    """C23: the id follows from the object's id and the type, not from when or where."""
    assert mark_of(subject).id == mark_of(subject, 6).id


@pytest.mark.parametrize("subject", [paid(), refunded()])
def test_another_end_is_another_event(subject: Charge | Refund) -> None:
    """C23"""
    failed = msgspec.structs.replace(subject, status="failed")
    assert mark_of(subject).id != mark_of(failed).id


def test_another_object_is_another_event() -> None:
    assert mark_of(paid()).id != mark_of(paid()).id


@pytest.mark.parametrize(
    ("subject", "kind"),
    [
        (paid(), "payment.succeeded"),
        (declined(), "payment.failed"),
        (refunded(), "refund.succeeded"),
        (not_refunded(), "refund.failed"),
        (a_dispute(), "dispute.created"),
        (a_dispute(status="won"), "dispute.closed"),
        (a_dispute(status="lost"), "dispute.closed"),
    ],
)
def test_the_type_says_how_it_ended(subject: Part, kind: str) -> None:
    event = mark_of(subject)
    envelope = msgspec.json.decode(event.raw, type=wire.EventEnvelope)
    assert event.type == envelope.type == kind


@pytest.mark.parametrize("subject", [paid(), declined()])
def test_the_bytes_of_a_payment_event_hold_the_charge_as_it_is_shown(subject: Charge) -> None:
    event = mark_of(subject)
    envelope = msgspec.json.decode(event.raw, type=wire.EventEnvelope)
    assert (envelope.id, envelope.timestamp) == (event.id, at(5))
    assert msgspec.convert(envelope.data, wire.Charge) == charges.on_the_wire(subject)


@pytest.mark.parametrize("subject", [refunded(), not_refunded()])
def test_the_bytes_of_a_refund_event_hold_the_refund_as_it_is_shown(subject: Refund) -> None:
    event = mark_of(subject)
    envelope = msgspec.json.decode(event.raw, type=wire.EventEnvelope)
    assert (envelope.id, envelope.timestamp) == (event.id, at(5))
    assert msgspec.convert(envelope.data, wire.Refund) == charges.refund_on_the_wire(CHARGE, subject)


def test_the_bytes_of_a_dispute_event_hold_the_dispute_as_it_is_shown() -> None:
    event = mark_of(a_dispute(status="lost", closed_at=at(5)))
    envelope = msgspec.json.decode(event.raw, type=wire.EventEnvelope)
    assert msgspec.convert(envelope.data, wire.Dispute) == wire.Dispute(
        id="dp_1",
        charge_id=CHARGE.id,
        charge_reference="ord_1",
        amount=4000,
        currency="USD",
        reason="fraudulent",
        status="lost",
        created_at=NOW,
        closed_at=at(5),
    )


def test_a_dispute_that_waits_is_told_to_nobody() -> None:
    with pytest.raises(AssertionError, match="dp_1"):
        mark_of(a_dispute(status="waiting"))


@pytest.mark.parametrize("subject", [paid(), refunded()])
def test_a_mark_says_what_has_happened_when_and_who_hears_of_it(subject: Charge | Refund) -> None:
    mark = mark_of(subject)
    assert (mark.object, mark.at, mark.to) == (subject.id, at(5), ("we_1",))


def test_who_wants_no_such_event_does_not_hear_of_it() -> None:
    [mark] = marks_of(CHARGE, CHARGE, [an_endpoint("payment.failed")], now=NOW)
    assert mark.to == ()


@pytest.mark.parametrize("subject", [paid(), refunded()])
def test_a_wrong_amount_comes_the_moment_before_with_an_id_of_its_own(subject: Charge | Refund) -> None:
    asked = msgspec.structs.replace(subject.scenario, wrong_amount=True)
    wrong, true = marks_of(CHARGE, msgspec.structs.replace(subject, scenario=asked), [], now=at(5))
    assert (wrong.fault, true.fault) == ("wrong_amount", None)
    assert (true.at - wrong.at).total_seconds() == 0.001
    assert wrong.id != true.id
    told = [msgspec.json.decode(mark.raw)["data"]["amount"] for mark in (wrong, true)]
    assert told == [subject.amount + 1, subject.amount]


def test_times_in_an_event_are_rfc_3339_in_utc_with_milliseconds() -> None:
    assert '"timestamp":"2024-03-01T12:00:05.000Z"' in mark_of(paid()).raw
