from payment_gateway.faults.scenario import Scenario
from payment_gateway.money.charge import ended, new_refund, refund_on_the_wire
from shared import wire
from tests.unit.payment_gateway.examples import DELAY, NOW, a_charge, a_refund, at


def test_a_refund_names_its_charge_and_what_the_merchant_calls_both() -> None:
    charge = a_charge()
    refund = new_refund(wire.RefundRequest(amount=4000, reference="rf_1"), Scenario(), now=NOW, delay=DELAY)
    assert refund_on_the_wire(charge, refund) == wire.Refund(
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


def test_a_new_refund_settles_after_its_delay() -> None:
    assert a_refund().settles_at == at(5)


def test_a_refund_succeeds() -> None:
    refund = ended(a_refund(), now=at(5))
    assert (refund.status, refund.failure_code, refund.settled_at) == ("succeeded", None, at(5))


def test_a_refund_that_is_to_fail_fails_with_its_code() -> None:
    refund = ended(a_refund(failure_code="refused"), now=at(5))
    assert (refund.status, refund.failure_code) == ("failed", "refused")
