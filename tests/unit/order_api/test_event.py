import json
from contextlib import suppress
from datetime import datetime
from typing import Any, get_args

import bson
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from order_api.event import (
    Judgement,
    NotAnEventError,
    Outcome,
    ReceivedEvent,
    StoredEvent,
    altered_id,
    is_final,
    judge,
    parse_event,
    say_the_same,
)
from order_api.facts import Charge, Dispute, Fact, Refund
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


@pytest.mark.parametrize(
    ("data", "order_id"),
    [({}, None), (None, None), (5, None), ("text", None), ([1], None), (CHARGE, ORDER_ID), (REFUND, ORDER_ID)],
)
def test_c19_an_event_of_an_unknown_type_is_ignored_and_shows_in_the_order_that_it_names(
    data: Any, order_id: str | None
) -> None:
    event = parsed(raw_event("payment.reviewed", data))
    assert (event.subject, event.problem, event.order_id, event.charge_id) == (None, None, order_id, None)
    assert judge(event, None).outcome == judge(event, an_order()).outcome == "ignored"


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (None, "data.id is missing"),
        ([], "data.id is missing"),
        ({**CHARGE, "id": "ch/1"}, "data.id is not"),
        ({**CHARGE, "reference": None}, "data.reference is not"),
        ({**CHARGE, "amount": "1000"}, "data.amount is not"),
        ({**CHARGE, "amount": 1000.0}, "data.amount is not"),
        ({**CHARGE, "amount": True}, "data.amount is not"),
        ({**CHARGE, "amount": 0}, "data.amount is not"),
        ({**CHARGE, "amount": -AMOUNT}, "data.amount is not"),
        ({**CHARGE, "amount": 2**70}, "data.amount is not"),
        ({**CHARGE, "currency": "usd"}, "data.currency is not"),
        ({**CHARGE, "status": 1}, "data.status is not"),
    ],
)
def test_c19_a_member_that_decides_and_is_odd_is_a_mismatch_that_names_it(data: Any, names: str) -> None:
    event = parsed(raw_event("payment.succeeded", data))
    assert event.subject is None
    assert judge(event, an_order()) == Judgement("mismatch", event.problem)
    assert event.problem is not None
    assert event.problem.startswith(names)


@pytest.mark.parametrize(
    ("changes", "settled"),
    [
        ({"paymentMethod": None}, 7),
        ({"metadata": None}, 7),
        ({"metadata": {"n": 1}}, 7),
        ({"amountRefunded": "x", "createdAt": 1709294407}, 7),
        ({"failureCode": 5}, 7),
        ({"settledAt": None}, 9),
        ({"settledAt": 1709294407}, 9),
        ({"settledAt": "2024-03-01T12:00:07"}, 9),
        ({"settledAt": "0001-01-01T00:00:00+14:00"}, 9),
    ],
)
def test_c19_a_member_that_decides_nothing_may_be_odd_and_the_events_own_time_serves(
    changes: dict[str, Any], settled: int
) -> None:
    raw = raw_event("payment.succeeded", {**CHARGE, **changes}, timestamp="2024-03-01T12:00:09.000Z")
    judged = judge(parsed(raw), an_order())
    assert judged.outcome == "applied"
    assert isinstance(judged.fact, Charge)
    assert (judged.fact.at, judged.fact.failure_code) == (at(settled), None)
    for name in ("failureCode", "amountRefunded", "paymentMethod", "metadata", "createdAt", "settledAt"):
        rest = {key: value for key, value in CHARGE.items() if key != name}
        assert judge(parsed(raw_event("payment.succeeded", rest)), an_order()).outcome == "applied"


def test_c20_the_same_event_encoded_anew_says_the_same_and_one_that_decides_otherwise_does_not() -> None:
    one = about_charge()
    spaced = parsed(one.raw.replace(",", " , ").encode())
    assert spaced.raw != one.raw
    assert say_the_same(one, spaced)
    assert say_the_same(one, about_charge(metadata={"n": 1}))
    assert say_the_same(one, about_charge(failureCode="odd"))
    for other in (
        about_charge(amount=1),
        about_charge(id=LATER),
        about_charge("payment.failed"),
        about_charge(amount="1"),
    ):
        assert not say_the_same(one, other)
    odd = about_charge(amount="1")
    assert not say_the_same(odd, odd), "what could not be read is not known to be the same"


def test_a_known_type_may_carry_members_that_we_do_not_know() -> None:
    assert judge(about_charge(riskScore=5), an_order()).outcome == "applied"


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [("payment.succeeded", "succeeded", None), ("payment.failed", "failed", "card_declined")],
)
def test_a_payment_event_teaches_the_order_how_its_charge_ended(kind: str, status: Any, code: str | None) -> None:
    verdict = judge(about_charge(kind, status=status, failureCode=code), an_order())
    fact = Charge(id=EARLIER, reference=ORDER_ID, state=status, amount_minor=AMOUNT, failure_code=code, at=at(7))
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
        provider_id="re_1",
        made_at=at(7),
        at=at(7),
    )
    assert verdict == Judgement("applied", fact=fact)


def test_c2_what_the_provider_says_of_a_refund_replaces_what_a_reply_said() -> None:
    refused = msgspec.structs.replace(a_refund("refused", 4000), failure_code="exceeds-paid")
    judged = judge(about_refund(), an_order(a_charge("succeeded"), refused))
    assert isinstance(judged.fact, Refund)
    [known] = an_order(a_charge("succeeded"), refused, judged.fact).refunds
    assert (known.state, known.provider_id, known.failure_code) == ("succeeded", "re_1", None)


@pytest.mark.parametrize("reference", ["rf_unknown", "refund by hand"])
def test_c19_a_refund_that_we_did_not_ask_for_is_a_fact_whatever_its_reference_and_amount(reference: str) -> None:
    order = an_order(a_charge("succeeded"))
    judged = judge(about_refund(reference=reference, amount=10 * AMOUNT), order)
    assert isinstance(judged.fact, Refund)
    assert (judged.fact.cause, judged.fact.provider_id, judged.fact.made_at) == ("provider", "re_1", at(7))
    assert judged.fact.id.startswith("rf_")
    assert judge(about_refund(reference=reference, amount=10 * AMOUNT), order).fact == judged.fact


DISPUTE = {
    "id": "dp_1",
    "chargeId": EARLIER,
    "chargeReference": ORDER_ID,
    "amount": 4000,
    "currency": "USD",
    "reason": "fraudulent",
    "status": "open",
    "createdAt": TIME,
    "closedAt": None,
}


@pytest.mark.parametrize(
    ("kind", "status", "outcome"),
    [
        ("dispute.created", "open", "applied"),
        ("dispute.closed", "won", "applied"),
        ("dispute.closed", "lost", "applied"),
        ("dispute.closed", "open", "mismatch"),
        ("dispute.created", "lost", "mismatch"),
    ],
)
def test_a_dispute_event_teaches_the_order_of_the_dispute(kind: str, status: Any, outcome: str) -> None:
    judged = judge(parsed(raw_event(kind, {**DISPUTE, "status": status})), an_order())
    assert judged.outcome == outcome
    fact = Dispute(id="dp_1", charge_id=EARLIER, amount_minor=4000, state=status, reason="fraudulent", at=at(7))
    assert judged.fact == (fact if outcome == "applied" else None)
    assert judge(parsed(raw_event(kind, {**DISPUTE, "currency": "EUR"})), an_order()).outcome == "mismatch"


def test_c14_a_charge_of_a_later_attempt_is_one_of_its_order() -> None:
    event = about_charge(reference=f"{ORDER_ID}.2")
    assert event.order_id == ORDER_ID
    fact = judge(event, an_order()).fact
    assert isinstance(fact, Charge)
    assert fact.reference == f"{ORDER_ID}.2"


@pytest.mark.parametrize("event", [about_charge(), about_refund()])
def test_an_event_about_an_order_that_we_do_not_know_is_unmatched(event: ReceivedEvent) -> None:
    assert judge(event, None).outcome == "unmatched"


@pytest.mark.parametrize("changes", [{"amount": AMOUNT - 1}, {"currency": "EUR"}])
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


@pytest.mark.parametrize("outcome", get_args(Outcome))
@pytest.mark.parametrize("known", [True, False])
def test_what_is_applied_is_final_and_what_is_ignored_until_its_type_is_known(outcome: Any, known: bool) -> None:
    """C19"""
    event_type = "payment.succeeded" if known else "payment.noticed"
    stored = StoredEvent(id="evt_1", type=event_type, outcome=outcome, source="webhook", raw="{}", received_at=NOW)
    assert is_final(stored) is (outcome == "applied" or (outcome == "ignored" and not known))


@pytest.mark.parametrize(
    "body",
    [
        b'{"id": "evt_1", "type": "x", "timestamp": "2026-11-28T12:00:00Z", "data": {"status": "a", "status": "b"}}',
        b'{"id": "evt_1", "id": "evt_2", "type": "x", "timestamp": "2026-11-28T12:00:00Z", "data": {}}',
        b'{"id": "evt_1", "type": "x", "timestamp": "2026-11-28T12:00:00Z", "data": {"a": [{"b": 1, "b": 1}]}}',
        b'{"id": "evt_1", "type": "x", "timestamp": "2026-11-28T12:00:00Z", "data": {"a": NaN}}',
    ],
)
def test_what_two_readers_may_read_differently_is_no_event(body: bytes) -> None:
    """RFC 7493 §2.3"""
    with pytest.raises(NotAnEventError):
        parse_event(body, source="webhook", now=NOW)


def test_an_event_is_an_event_or_is_not_at_whatever_depth_of_its_data() -> None:
    for depth in range(1, 1_200):
        nested = "[" * depth + r'"\u0041"' + "]" * depth
        body = f'{{"id": "evt_1", "type": "x", "timestamp": "{TIME}", "data": {{"a": {nested}}}}}'
        with suppress(NotAnEventError):
            parse_event(body.encode(), source="webhook", now=NOW)


@pytest.mark.parametrize("member", ["failureCode", "reference", "note"])
def test_a_lone_surrogate_is_a_mismatch_that_can_be_stored(member: str) -> None:
    """C19"""
    told = {"id": "evt_1", "type": "payment.succeeded", "timestamp": TIME, "data": {**CHARGE, member: "x\ud800"}}
    event = parse_event(json.dumps(told).encode(), source="webhook", now=NOW)
    judgement = judge(event, an_order())
    assert (judgement.outcome, judgement.detail) == ("mismatch", "data holds a lone surrogate, which is no character")
    assert event.order_id == ("x?" if member == "reference" else ORDER_ID)
    bson.encode(msgspec.to_builtins(event, builtin_types=(datetime,)))


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


def test_c19_which_order_a_charge_is_of_is_said_by_its_reference_alone() -> None:
    assert about_charge(chargeReference="ord_another").order_id == ORDER_ID
    assert about_charge(chargeReference="ord_another", amount="1").order_id == ORDER_ID
    assert about_refund(reference="ord_another").order_id == ORDER_ID
    assert about_refund(reference="ord_another", chargeReference=None).order_id is None
