import msgspec
import pytest

from order_api.views import order_view, to_json
from tests.unit.order_api.examples import a_charge, a_refund, a_review, an_order


def shown(*, currency: str = "USD", refunded_minor: int = 0) -> bytes:
    facts = [a_refund("succeeded", refunded_minor)] if refunded_minor else []
    order = an_order(a_charge("succeeded"), *facts)
    return to_json(order_view(msgspec.structs.replace(order, currency=currency)))


@pytest.mark.parametrize(("currency", "amount"), [("USD", b"99.99"), ("JPY", b"9999"), ("KWD", b"9.999")])
def test_an_amount_is_a_number_in_major_units_of_its_currency(currency: str, amount: bytes) -> None:
    assert b'"amount":' + amount + b"," in shown(currency=currency)


def test_an_amount_is_exact_to_its_last_place() -> None:
    assert b'"refundedAmount":40.10,' in shown(refunded_minor=4010)


def test_nothing_refunded_is_zero() -> None:
    assert b'"refundedAmount":0,' in shown()


def test_an_order_shows_every_member_and_no_other() -> None:
    order = an_order(a_charge("succeeded"), a_refund("requested"), a_review(resolved=True))
    view = msgspec.json.decode(to_json(order_view(order)))
    assert list(view) == [
        *("id", "orderNumber", "amount", "currency", "status", "refundedAmount", "paymentMethod", "metadata"),
        *("charges", "refunds", "reviews", "history", "createdAt", "updatedAt"),
    ]
    assert set(view["charges"][0]) == {"id", "state", "amount", "failureCode", "at"}
    assert set(view["refunds"][0]) == {"id", "chargeId", "amount", "state", "cause", "failureCode", "at"}
    assert set(view["reviews"][0]) == {"code", "detail", "eventId", "raisedAt", "resolvedAt", "decision"}
    assert set(view["history"][0]) == {"status", "at", "cause"}


def test_times_are_rfc_3339_in_utc_with_milliseconds() -> None:
    assert b'"createdAt":"2024-03-01T12:00:00.000Z"' in shown()
