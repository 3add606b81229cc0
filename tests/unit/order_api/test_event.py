from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from order_api.event import (
    FINAL,
    Judgement,
    NotAnEventError,
    ReceivedEvent,
    altered_id,
    judge,
    parse_event,
)
from order_api.order import Charge, Fact, Refund
from tests.unit.order_api.examples import (
    AMOUNT,
    CANCELLED,
    EARLIER,
    LATER,
    NOW,
    ORDER_ID,
    a_charge,
    a_refund,
    an_order,
    at,
)

TIME = "2024-03-01T12:00:07.000Z"
CHARGE = {
    "id": EARLIER,
    "amount": AMOUNT,
    "currency": "USD",
    "reference": ORDER_ID,
    "status": "succeeded",
    "failureCode": None,
    "amountRefunded": 0,
    "paymentMethod": "pm_card_visa",
    "metadata": {},
    "createdAt": TIME,
    "settledAt": TIME,
}
REFUND = {
    "id": "re_1",
    "chargeId": EARLIER,
    "chargeReference": ORDER_ID,
    "reference": "rf_1",
    "amount": 4000,
    "currency": "USD",
    "status": "succeeded",
    "failureCode": None,
    "createdAt": TIME,
    "settledAt": TIME,
}


def raw_event(kind: str, data: Any, **envelope: Any) -> bytes:
    return msgspec.json.encode({"id": "evt_1", "type": kind, "timestamp": TIME, "data": data, **envelope})


def parsed(raw: bytes) -> ReceivedEvent:
    return parse_event(raw, source="webhook", now=NOW)


def about_charge(kind: str = "payment.succeeded", **changes: Any) -> ReceivedEvent:
    return parsed(raw_event(kind, {**CHARGE, **changes}))


def about_refund(kind: str = "refund.succeeded", **changes: Any) -> ReceivedEvent:
    return parsed(raw_event(kind, {**REFUND, **changes}))


def test_an_event_is_kept_with_its_exact_bytes() -> None:
    raw = b' {"id": "evt_1",\n "type":"x", "timestamp":"2024-03-01T12:00:07Z", "data":{"\\u00e9": 1.50}, "new": []}'
    assert parsed(raw).raw.encode() == raw


def test_a_payment_event_names_its_order_and_charge() -> None:
    event = about_charge()
    assert (event.id, event.type, event.order_id, event.charge_id) == ("evt_1", "payment.succeeded", ORDER_ID, EARLIER)
    assert (event.timestamp, event.received_at, event.source) == (at(7), NOW, "webhook")


def test_a_refund_event_names_the_order_and_charge_that_it_refunds() -> None:
    event = about_refund()
    assert (event.order_id, event.charge_id) == (ORDER_ID, EARLIER)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff",
        b"{",
        b'\xef\xbb\xbf{"id":"e"}',
        raw_event("x", {}) + b"x",
        raw_event("x", {}, id=""),
        raw_event("x", {}, id="e" * 256),
        raw_event("x", {}, id=1),
        raw_event("x", {}, id=None),
        raw_event("x", {}, timestamp="yesterday"),
        raw_event("x", {}, timestamp=1709294407),
        raw_event("x", {}, timestamp="2024-03-01T12:00:07"),
        raw_event("x", {}, timestamp="0001-01-01T00:00:00+14:00"),
        raw_event("x", {}, timestamp="9999-12-31T23:59:59-14:00"),
        raw_event("x", {}, id="evt_1~0123456789abcdef"),
        raw_event("x", {}).replace(b'"data"', b'"date"'),
        raw_event("x", {}).replace(b"evt_1", b"\\ud800"),
        raw_event("x", {}).replace(b"{}", b"[" * 30_000 + b"]" * 30_000),
        raw_event("x", {}).replace(b"{}", b"NaN"),
    ],
)
def test_garbage_is_not_an_event(raw: bytes) -> None:
    with pytest.raises(NotAnEventError):
        parsed(raw)


@given(st.binary())
def test_arbitrary_bytes_are_an_event_or_not_and_nothing_else(raw: bytes) -> None:
    with suppress(NotAnEventError):
        parsed(raw)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(CHARGE)), inner, max_size=3),
)


@given(st.sampled_from(["payment.succeeded", "refund.failed", "x"]), JSON, st.sampled_from([*CHARGE, *REFUND]), JSON)
def test_arbitrary_data_is_parsed_and_judged_without_surprise(kind: str, data: Any, member: str, value: Any) -> None:
    order = an_order(a_charge("succeeded"), a_refund("requested"))
    for one in (data, {**CHARGE, member: value}, {**REFUND, member: value}):
        try:
            raw = raw_event(kind, one)
        except (UnicodeEncodeError, msgspec.MsgspecError):
            continue  # a lone surrogate cannot be sent
        judge(parsed(raw), order)


@pytest.mark.parametrize("data", [{}, None, 5, "text", [1], CHARGE])
def test_an_event_of_an_unknown_type_is_acknowledged_and_ignored(data: Any) -> None:
    event = parsed(raw_event("payment.disputed", data))
    assert (event.subject, event.problem, event.order_id, event.charge_id) == (None, None, None, None)
    assert judge(event, None).outcome == "ignored"


@pytest.mark.parametrize(
    "data",
    [None, {}, [], "ch_1", {**CHARGE, "amount": "9999"}, {**CHARGE, "amount": 99.99}, {**CHARGE, "status": "won"}],
)
def test_a_known_type_with_data_that_does_not_decode_is_a_mismatch_that_says_why(data: Any) -> None:
    event = parsed(raw_event("payment.succeeded", data))
    assert event.subject is None
    assert judge(event, an_order()) == Judgement("mismatch", event.problem)
    assert event.problem


def test_a_known_type_may_carry_members_that_we_do_not_know() -> None:
    assert judge(about_charge(riskScore=5), an_order()).outcome == "applied"


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [("payment.succeeded", "succeeded", None), ("payment.failed", "failed", "card_declined")],
)
def test_a_payment_event_teaches_the_order_how_its_charge_ended(kind: str, status: Any, code: str | None) -> None:
    verdict = judge(about_charge(kind, status=status, failureCode=code), an_order())
    fact = Charge(id=EARLIER, state=status, amount_minor=AMOUNT, failure_code=code, at=at(7))
    assert verdict == Judgement("applied", fact=fact)


@pytest.mark.parametrize(
    ("kind", "status", "code"), [("refund.succeeded", "succeeded", None), ("refund.failed", "failed", "bank_said_no")]
)
def test_a_refund_event_teaches_the_order_how_its_refund_ended(kind: str, status: Any, code: str | None) -> None:
    order = an_order(a_charge("succeeded"), a_refund("requested", 4000, cause="cancelled"))
    verdict = judge(about_refund(kind, status=status, failureCode=code), order)
    fact = Refund(
        id="rf_1",
        charge_id=EARLIER,
        amount_minor=4000,
        state=status,
        cause="cancelled",
        failure_code=code,
        at=at(7),
    )
    assert verdict == Judgement("applied", fact=fact)


def test_a_refund_that_succeeds_after_it_was_refused_calls_a_person() -> None:
    """Its amount was free again since then, and may be given back twice."""
    refused = msgspec.structs.replace(a_refund("failed", 4000), failure_code="exceeds-paid")
    assert judge(about_refund(), an_order(a_charge("succeeded"), refused)).outcome == "mismatch"
    told = a_refund("failed", 4000)  # by an event: the order of both does not matter
    assert judge(about_refund(), an_order(a_charge("succeeded"), told)).outcome == "applied"


@pytest.mark.parametrize("event", [about_charge(), about_refund()])
def test_an_event_about_an_order_that_we_do_not_know_is_unmatched(event: ReceivedEvent) -> None:
    assert judge(event, None).outcome == "unmatched"


def test_an_event_about_a_refund_that_the_order_did_not_ask_for_is_unmatched() -> None:
    assert judge(about_refund(), an_order(a_charge("succeeded"))).outcome == "unmatched"


@pytest.mark.parametrize(
    "changes", [{"amount": AMOUNT - 1}, {"currency": "EUR"}, {"amount": 2**70}, {"amount": -AMOUNT}]
)
def test_a_payment_of_another_amount_or_currency_is_a_mismatch(changes: dict[str, Any]) -> None:
    verdict = judge(about_charge(**changes), an_order())
    assert (verdict.outcome, verdict.fact) == ("mismatch", None)
    assert verdict.detail


@pytest.mark.parametrize(
    "changes", [{"amount": 4001}, {"currency": "EUR"}, {"chargeId": LATER}, {"status": "pending"}, {"status": "failed"}]
)
def test_a_refund_of_another_amount_currency_charge_or_state_is_a_mismatch(changes: dict[str, Any]) -> None:
    order = an_order(a_charge("succeeded"), a_refund("requested", 4000))
    verdict = judge(about_refund(**changes), order)
    assert (verdict.outcome, verdict.fact) == ("mismatch", None)


@pytest.mark.parametrize(
    ("kind", "status"),
    [("payment.succeeded", "failed"), ("payment.succeeded", "pending"), ("payment.failed", "succeeded")],
)
def test_an_event_that_contradicts_its_own_charge_is_a_mismatch(kind: str, status: str) -> None:
    assert judge(about_charge(kind, status=status), an_order()).outcome == "mismatch"


@pytest.mark.parametrize(
    "facts",
    [
        [a_charge("succeeded")],
        [a_charge("failed")],
        [CANCELLED],
        [a_charge("succeeded"), a_refund("succeeded")],
        [a_charge("succeeded", LATER)],
    ],
)
def test_no_event_of_a_known_type_is_dropped_because_of_the_orders_status(facts: list[Fact]) -> None:
    """C19"""
    for event in (about_charge(), about_charge("payment.failed", status="failed")):
        assert judge(event, an_order(*facts)).outcome == "applied"


def test_only_applied_and_ignored_are_final() -> None:
    """C19"""
    assert {"applied", "ignored"} == FINAL


def test_the_right_event_after_a_mismatch_is_applied() -> None:
    """C19"""
    order = an_order()
    assert judge(about_charge(amount=1), order).outcome == "mismatch"
    assert judge(about_charge(), order).outcome == "applied"


def test_other_bytes_under_an_events_id_are_kept_beside_it_under_one_id_of_their_own() -> None:
    """C20"""
    ids = [altered_id("evt_1", "{}"), altered_id("evt_1", "{}"), altered_id("evt_1", "{ }"), "evt_1"]
    assert len(set(ids)) == 3
    assert ids[0].startswith("evt_1")
