import pytest

from payment_gateway.faults.payment_method import OUTCOMES
from payment_gateway.money.charge import on_the_wire, settled
from shared import wire
from tests.unit.payment_gateway.examples import NOW, a_charge, at


def test_a_new_charge_is_pending_and_due_after_its_delay() -> None:
    charge = a_charge()
    assert (charge.status, charge.failure_code, charge.settled_at) == ("pending", None, None)
    assert (charge.created_at, charge.due_at) == (NOW, at(5))


def test_each_charge_has_an_id_of_its_own() -> None:
    assert a_charge().id != a_charge().id


def test_a_visa_card_pays() -> None:
    charge = settled(a_charge("pm_card_visa"), now=at(5))
    assert (charge.status, charge.failure_code, charge.settled_at) == ("succeeded", None, at(5))


@pytest.mark.parametrize(
    ("payment_method", "code"),
    [
        ("pm_card_declined", "card_declined"),
        ("pm_insufficient_funds", "insufficient_funds"),
        ("pm_expired_card", "expired_card"),
    ],
)
def test_the_other_cards_fail_with_their_code(payment_method: str, code: str) -> None:
    charge = settled(a_charge(payment_method), now=at(5))
    assert (charge.status, charge.failure_code, charge.settled_at) == ("failed", code, at(5))


@pytest.mark.parametrize("payment_method", OUTCOMES)
def test_nothing_settles_twice(payment_method: str) -> None:
    charge = settled(a_charge(payment_method), now=at(5))
    with pytest.raises(AssertionError, match=charge.id):
        settled(charge, now=at(6))


def test_settling_changes_nothing_but_how_it_ended() -> None:
    pending = a_charge()
    ended = settled(pending, now=at(5))
    assert (ended.id, ended.amount, ended.metadata) == (pending.id, pending.amount, pending.metadata)


def test_a_merchant_sees_the_charge_it_asked_for() -> None:
    charge = a_charge()
    assert on_the_wire(charge) == wire.Charge(
        id=charge.id,
        amount=9999,
        currency="USD",
        reference="ord_1",
        status="pending",
        failure_code=None,
        amount_refunded=0,
        payment_method="pm_card_visa",
        metadata={"basket": "7"},
        created_at=NOW,
        settled_at=None,
    )
