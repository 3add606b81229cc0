import pytest

from payment_gateway.faults.scenario import Scenario
from payment_gateway.money.refund import new_refund, on_the_wire, settled
from shared import wire
from tests.unit.payment_gateway.examples import DELAY, NOW, a_charge, a_refund, at


def test_a_refund_names_its_charge_and_what_the_merchant_calls_both() -> None:
    charge = a_charge()
    refund = new_refund(charge, wire.RefundRequest(amount=4000, reference="rf_1"), Scenario(), now=NOW, delay=DELAY)
    assert on_the_wire(refund) == wire.Refund(
        id=refund.id,
        charge_id=charge.id,
        charge_reference="ord_1",
        reference="rf_1",
        amount=4000,
        currency="USD",
        status="pending",
        failure_code=None,
        created_at=NOW,
        settled_at=None,
    )


def test_a_refund_belongs_to_the_merchant_of_its_charge() -> None:
    assert a_refund().merchant == a_charge().merchant


def test_a_new_refund_is_due_after_its_delay() -> None:
    assert a_refund().due_at == at(5)


def test_a_refund_succeeds() -> None:
    refund = settled(a_refund(), now=at(5))
    assert (refund.status, refund.failure_code, refund.settled_at) == ("succeeded", None, at(5))


def test_nothing_settles_twice() -> None:
    refund = settled(a_refund(), now=at(5))
    with pytest.raises(AssertionError, match=refund.id):
        settled(refund, now=at(6))
