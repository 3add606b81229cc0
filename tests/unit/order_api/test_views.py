from typing import Any

import msgspec
import pytest

from order_api.facts import Fact
from order_api.views import order_view, to_json
from tests.unit.order_api.examples import (
    EARLIER,
    LATER,
    NOW,
    a_charge,
    a_dispute,
    a_refund,
    a_review,
    an_order,
    with_its_charge_call,
)


def shown(*, currency: str = "USD", exponent: int = 2, refunded_minor: int = 0) -> bytes:
    facts = [a_refund("succeeded", refunded_minor)] if refunded_minor else []
    order = an_order(a_charge("succeeded"), *facts)
    return to_json(order_view(msgspec.structs.replace(order, currency=currency, exponent=exponent)))


@pytest.mark.parametrize(
    ("currency", "exponent", "amount"), [("USD", 2, b"99.99"), ("JPY", 0, b"9999"), ("KWD", 3, b"9.999")]
)
def test_an_amount_is_a_number_in_major_units_of_its_currency(currency: str, exponent: int, amount: bytes) -> None:
    assert b'"amount":' + amount + b"," in shown(currency=currency, exponent=exponent)


def test_an_order_is_shown_as_it_was_accepted_whatever_has_become_of_its_currency() -> None:
    assert b'"amount":999.9,"currency":"ZZZ"' in shown(currency="ZZZ", exponent=1)


def test_arrays_that_stand_in_order_of_arrival_are_shown_in_order_of_their_ids() -> None:
    order = an_order(a_charge("succeeded", LATER), a_charge("succeeded"), a_review("z"), a_review("a"))
    view = msgspec.json.decode(to_json(order_view(order)))
    assert [charge["id"] for charge in view["charges"]] == [EARLIER, LATER]
    assert [review["code"] for review in view["reviews"]] == ["a", "z"]


def test_an_amount_is_exact_to_its_last_place() -> None:
    assert b'"refundedAmount":40.10,' in shown(refunded_minor=4010)


def test_nothing_refunded_is_zero() -> None:
    assert b'"refundedAmount":0,' in shown()


def test_an_order_shows_every_member_and_no_other() -> None:
    order = an_order(a_charge("succeeded"), a_refund("requested"), a_dispute("open", 1), a_review(resolved=True))
    view = msgspec.json.decode(to_json(order_view(order)))
    assert list(view) == [
        *("id", "orderNumber", "amount", "currency", "status", "refundedAmount", "disputedAmount", "paymentMethod"),
        *("metadata", "payments", "charges", "refunds", "disputes", "reviews", "history", "createdAt", "updatedAt"),
    ]
    assert set(view["charges"][0]) == {"id", "state", "amount", "failureCode", "at"}
    assert set(view["payments"][0]) == {"paymentMethod", "state", "failureCode", "at"}
    assert set(view["disputes"][0]) == {"id", "chargeId", "amount", "state", "reason", "at"}
    assert set(view["refunds"][0]) == {"id", "number", "chargeId", "amount", "state", "cause", "failureCode", "at"}
    assert set(view["reviews"][0]) == {"code", "detail", "eventId", "raisedAt", "resolvedAt", "decision"}
    assert set(view["history"][0]) == {"status", "at", "cause"}


def test_times_are_rfc_3339_in_utc_with_milliseconds() -> None:
    assert b'"createdAt":"2024-03-01T12:00:00.000Z"' in shown()


OPEN: dict[str, Any] = {}
REFUSED = {"state": "done", "refused_code": "invalid-fields", "due_at": None}


@pytest.mark.parametrize(
    ("call", "facts", "state", "code"),
    [
        (OPEN, [], "pending", None),
        ({"state": "dead", "due_at": None}, [], "pending", None),
        ({"state": "void", "due_at": None}, [], "void", None),
        (REFUSED, [], "failed", "invalid-fields"),
        ({"state": "done", "due_at": None}, [a_charge("pending")], "pending", None),
        ({"state": "done", "due_at": None}, [a_charge("failed")], "failed", "card_declined"),
        ({"state": "done", "due_at": None}, [a_charge("failed"), a_charge("pending", LATER)], "pending", None),
        ({"state": "done", "due_at": None}, [a_charge("failed"), a_charge("succeeded", LATER)], "succeeded", None),
        ({"state": "void", "due_at": None}, [a_charge("succeeded")], "succeeded", None),
    ],
)
def test_a_payment_shows_what_came_of_it(call: dict[str, Any], facts: list[Fact], state: str, code: str | None) -> None:
    order = with_its_charge_call(an_order(*facts), **{"attempts": 1, "first_attempt_at": NOW, **call})
    [payment] = order_view(order).payments
    assert (payment.state, payment.failure_code, payment.payment_method) == (state, code, "pm_card_visa")
