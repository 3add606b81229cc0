from datetime import UTC, datetime, timedelta, timezone

import msgspec

from shared import wire

TOKYO = timezone(timedelta(hours=9))


def charge(*, settled_at: datetime | None = None) -> wire.Charge:
    return wire.Charge(
        id="ch_1",
        amount=9999,
        currency="USD",
        reference="ord_1",
        status="pending",
        failure_code=None,
        amount_refunded=0,
        payment_method="pm_card_visa",
        metadata={"2024-03-01": "2024-03-01T00:00:00Z"},
        created_at=datetime(2024, 3, 1, 9, 0, 0, 123_456, tzinfo=TOKYO),
        settled_at=settled_at,
    )


def test_times_go_out_as_rfc_3339_in_utc_with_milliseconds() -> None:
    sent = msgspec.json.decode(wire.encode(charge(settled_at=datetime(2024, 3, 1, 0, 0, 5, tzinfo=UTC))))
    assert (sent["createdAt"], sent["settledAt"]) == ("2024-03-01T00:00:00.123Z", "2024-03-01T00:00:05.000Z")


def test_members_are_in_camel_case_and_absent_values_are_null() -> None:
    assert wire.encode(charge()) == (
        b'{"id":"ch_1","amount":9999,"currency":"USD","reference":"ord_1","status":"pending","failureCode":null,'
        b'"amountRefunded":0,"paymentMethod":"pm_card_visa","metadata":{"2024-03-01":"2024-03-01T00:00:00Z"},'
        b'"createdAt":"2024-03-01T00:00:00.123Z","settledAt":null}'
    )


def test_times_deep_inside_an_event_are_written_the_same_way() -> None:
    event = wire.Event(id="evt_1", type="payment.succeeded", timestamp=datetime(2024, 3, 1, tzinfo=UTC), data=charge())
    sent = msgspec.json.decode(wire.encode(event))
    assert (sent["timestamp"], sent["data"]["createdAt"]) == ("2024-03-01T00:00:00.000Z", "2024-03-01T00:00:00.123Z")


def test_times_in_the_members_of_a_list_are_written_the_same_way() -> None:
    class Charges(msgspec.Struct):
        data: list[wire.Charge]

    assert b'"createdAt":"2024-03-01T00:00:00.123Z"' in wire.encode(Charges([charge()]))


def test_what_one_service_sends_the_other_reads() -> None:
    sent = charge()
    read = msgspec.json.decode(wire.encode(sent), type=wire.Charge)
    assert read == msgspec.structs.replace(sent, created_at=datetime(2024, 3, 1, 0, 0, 0, 123_000, tzinfo=UTC))


def test_an_event_may_carry_members_that_we_do_not_know() -> None:
    raw = b'{"id":"evt_1","type":"x","timestamp":"2024-03-01T00:00:00Z","data":{ "n" : 1 },"livemode":false}'
    envelope = msgspec.json.decode(raw, type=wire.EventEnvelope)
    assert envelope.data == {"n": 1}


def test_the_members_of_a_list_keep_the_bytes_they_were_sent_as() -> None:
    """C21"""
    page = msgspec.json.decode(b'{"data":[{ "a" : 1.50 }, 2],"nextCursor":"c"}', type=wire.RawPage)
    assert [bytes(one) for one in page.data] == [b'{ "a" : 1.50 }', b"2"]


def test_requests_without_a_scenario_are_remembered_as_before_there_were_any() -> None:
    charge = wire.ChargeRequest(amount=1, currency="USD", reference="r", payment_method="pm_card_visa")
    assert msgspec.json.encode(charge) == (
        b'{"amount":1,"currency":"USD","reference":"r","paymentMethod":"pm_card_visa"}'
    )
    assert msgspec.json.encode(wire.RefundRequest(amount=1, reference="r")) == b'{"amount":1,"reference":"r"}'
