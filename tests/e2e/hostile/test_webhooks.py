"""Webhooks whose signature is right, with bodies that are not what they should be. Only order_api takes webhooks."""

import json

import pytest

from tests.e2e.hostile.raw import exchange
from tests.e2e.hostile.target import Target
from tests.hostile.answers import Answer
from tests.hostile.events import BODIES, signed
from tests.hostile.requests import Case, end_to_end, name_of
from tests.hostile.webhooks import TIME, event, signature, webhook

SOME_BODIES = end_to_end(
    BODIES,
    "nothing",
    "an event in UTF-16",
    "30,000 arrays in an event",
    "an id with NUL",
    "an event larger than 64 KiB",
)


@pytest.mark.parametrize("case", SOME_BODIES, ids=name_of)
async def test_what_is_signed_is_an_event(order_api: Target, case: Case) -> None:
    await order_api.expect(case, signed(case, order_api))


HEADED = [
    Case("another media type, as it is the bytes that are signed", {"Content_Type": [b"text/plain"]}, 200),
    Case("no media type", {"Content_Type": []}, 200),
    Case("an API key that is wrong, as it is the signature that counts", {"Authorization": [b"Bearer x"]}, 200),
    Case("spaces around the signature", {"padded": [b""]}, 200),
    Case("a coding", {"Content_Encoding": [b"gzip"]}, 415, "unsupported-media-type"),
]


@pytest.mark.parametrize("case", HEADED, ids=name_of)
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


async def deliver(order_api: Target, body: bytes) -> Answer:
    """The answer to `body`, well signed."""
    values = [",".join(signature(body)).encode()]
    return await exchange(order_api.port, webhook(order_api, body, values))
