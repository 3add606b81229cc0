"""Webhooks whose signature is right, with bodies that are not what they should be. Only order_api takes webhooks."""

import gzip
import json

import pytest

from tests.e2e.hostile.raw import exchange
from tests.e2e.hostile.target import ABSENT, Case, Target
from tests.e2e.hostile.webhooks import TIME, deliver, event, signature, webhook

MALFORMED = (400, "malformed-json")

# What is sent is the body, and it is signed.
BODIES = [
    Case("an event of a type that nobody knows", event(), 200),
    Case("one with more members than asked for", event(extra={"$where": 1}), 200),
    Case("one about an order that is not there", event(type="payment.failed", data={"reference": "ord_x"}), 200),
    Case("no event at all", b"garbage", *MALFORMED),
    Case("nothing", b"", *MALFORMED),
    Case("null", b"null", *MALFORMED),
    Case("an array", b"[]", *MALFORMED),
    Case("an event in an array", b"[" + event() + b"]", *MALFORMED),
    Case("two events", event() + event(), *MALFORMED),
    Case("an event in UTF-16", event().decode().encode("utf-16"), *MALFORMED),
    Case("bytes that are not UTF-8", event().replace(b"{}", b'"\xff"'), *MALFORMED),
    Case("a compressed event", gzip.compress(event()), *MALFORMED),
    Case("30,000 arrays", b"[" * 30_000 + b"]" * 30_000, *MALFORMED),
    Case("30,000 arrays in an event", event().replace(b"{}", b"[" * 30_000 + b"]" * 30_000), *MALFORMED),
    Case("no id", event(id=ABSENT), *MALFORMED),
    Case("an id of null", event(id=None), *MALFORMED),
    Case("an operator for an id", event(id={"$ne": None}), *MALFORMED),
    Case("an empty id", event(id=""), *MALFORMED),
    Case("an id with a tilde, as ours for altered events", event(id="evt_1~0123456789abcdef"), *MALFORMED),
    Case("an id with NUL", event(id="evt_\0"), *MALFORMED),
    Case("an id of 256 characters", event(id="e" * 256), *MALFORMED),
    Case("no type", event(type=ABSENT), *MALFORMED),
    Case("a type that is a number", event(type=7), *MALFORMED),
    Case("no time", event(timestamp=ABSENT), *MALFORMED),
    Case("a time without a zone", event(timestamp="2026-11-23T21:00:00"), *MALFORMED),
    Case("a time that never was", event(timestamp="2026-02-30T00:00:00Z"), *MALFORMED),
    Case("a time before all times", event(timestamp="0001-01-01T00:00:00+23:59"), *MALFORMED),
    Case("no data", event(data=ABSENT), *MALFORMED),
    Case("an event larger than 64 KiB", event(data={"x": "x" * 65_536}), 413, "body-too-large"),
]


@pytest.mark.parametrize("case", BODIES, ids=lambda case: case.name)
async def test_what_is_signed_is_an_event(order_api: Target, case: Case) -> None:
    values = [",".join(signature(case.sent)).encode()]
    await order_api.expect(case, webhook(order_api, case.sent, values))


HEADED = [
    Case("another media type, as it is the bytes that are signed", {"Content_Type": [b"text/plain"]}, 200),
    Case("no media type", {"Content_Type": []}, 200),
    Case("an API key that is wrong, as it is the signature that counts", {"Authorization": [b"Bearer x"]}, 200),
    Case("spaces around the signature", {"padded": [b""]}, 200),
    Case("a coding", {"Content_Encoding": [b"gzip"]}, 415, "unsupported-media-type"),
]


@pytest.mark.parametrize("case", HEADED, ids=lambda case: case.name)
async def test_what_is_said_beside_the_signature(order_api: Target, case: Case) -> None:
    body = event()
    value = ",".join(signature(body)).encode()
    values = [b" \t" + value + b" \t"] if "padded" in case.sent else [value]
    await order_api.expect(case, webhook(order_api, body, values, **case.sent))


async def test_an_event_that_comes_again_counts_once(order_api: Target) -> None:
    body = event()
    assert (await deliver(order_api, body)).json == {"outcome": "ignored"}
    stored = await order_api.stored()
    assert (await deliver(order_api, body)).json == {"outcome": "duplicate"}
    assert await order_api.stored() == stored


async def test_the_same_id_with_other_bytes_is_kept_and_shown_to_a_person(order_api: Target) -> None:
    order = (await exchange(order_api.port, order_api.post())).json
    charge = {
        "id": "ch_1",
        "amount": 9999,
        "currency": "USD",
        "reference": order["id"],
        "status": "succeeded",
        "failureCode": None,
        "amountRefunded": 0,
        "paymentMethod": "pm_card_visa",
        "metadata": {},
        "createdAt": TIME,
        "settledAt": TIME,
    }
    first = event(type="payment.succeeded", data=charge)
    assert (await deliver(order_api, first)).json == {"outcome": "applied"}
    other = event(id=json.loads(first)["id"], type="payment.failed", data={**charge, "status": "failed"})
    again = await deliver(order_api, other)
    assert (again.status, again.json) == (200, {"outcome": "duplicate"})
    shown = (await exchange(order_api.port, order_api.get(f"/api/orders/{order['id']}"))).json
    assert shown["status"] == "Paid"
    assert [review["code"] for review in shown["reviews"]] == ["event-altered"]
    events = (await exchange(order_api.port, order_api.get(f"/api/orders/{order['id']}/events"))).json["data"]
    assert {one["raw"] for one in events} == {first.decode(), other.decode()}
