"""The timeline tells an order's life in the order in which it happened."""

from datetime import UTC, datetime, timedelta

from order_api.calls import Call, Try
from order_api.event import StoredEvent
from order_api.facts import Charge, Refund, Review
from order_api.order import Order, StatusChange
from order_api.timeline import timeline

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def an_order() -> Order:
    tries = (
        Try(at=at(2), ms=1500, outcome="unavailable", reason="TimeoutError"),
        Try(at=at(4), ms=20, outcome="accepted", reason="made ch_1"),
    )
    call = Call(
        id="obx_1",
        kind="charge",
        reference="ord_1",
        path="/v1/charges",
        body="{}",
        state="done",
        attempts=2,
        due_at=None,
        created_at=at(0),
        updated_at=at(4),
        tries=tries,
    )
    return Order(
        id="ord_1",
        merchant="default",
        order_number="ORD-1",
        amount_minor=9999,
        currency="USD",
        exponent=2,
        payment_method="pm_card_visa",
        charges=(Charge(id="ch_1", state="succeeded", amount_minor=9999, at=at(9)),),
        refunds=(
            Refund(id="rf_1", charge_id="ch_1", amount_minor=100, state="requested", cause="merchant", at=at(20)),
        ),
        reviews=(Review(code="event-altered", event_id="evt_1", detail="", raised_at=at(15)),),
        history=(StatusChange("Pending", at(0), "placed"), StatusChange("Paid", at(10), "payment.succeeded evt_1")),
        calls=(call,),
        created_at=at(0),
        updated_at=at(20),
    )


def an_event() -> StoredEvent:
    return StoredEvent(
        id="evt_1", type="payment.succeeded", outcome="applied", source="webhook", raw="{}", received_at=at(10)
    )


def test_everything_that_happened_is_there_once_oldest_first() -> None:
    told = [(one.kind, one.id, one.state) for one in timeline(an_order(), [an_event()]).data]
    assert told == [
        ("placed", "ord_1", None),
        ("call", "obx_1", "done"),
        ("status", None, "Pending"),
        ("attempt", "obx_1", "unavailable"),
        ("attempt", "obx_1", "accepted"),
        ("charge", "ch_1", "succeeded"),
        ("event", "evt_1", "applied"),
        ("status", None, "Paid"),
        ("review", "evt_1", "open"),
        ("refund", "rf_1", "requested"),
    ]


def test_an_attempt_stands_where_it_began_and_says_how_long_it_took() -> None:
    attempts = [one for one in timeline(an_order(), []).data if one.kind == "attempt"]
    assert [(one.at, one.ms, one.reason) for one in attempts] == [
        ("2026-11-28T12:00:00.500Z", 1500, "TimeoutError"),
        ("2026-11-28T12:00:03.980Z", 20, "made ch_1"),
    ]
