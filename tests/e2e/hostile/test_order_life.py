"""What may be asked of an order after it was placed, and of the outbox."""

import json
from typing import Any

import pytest

from tests.e2e.hostile.raw import exchange
from tests.e2e.hostile.target import Target
from tests.hostile.requests import Case

INVALID = (422, "invalid-fields")
NOT_FOUND = (404, "not-found")

REFUNDS = [
    Case("all of what nobody paid", {}, 409, "not-refundable"),
    Case("an amount of null, as if none were given", {"amount": None}, 409, "not-refundable"),
    Case("a part of what nobody paid", {"amount": "10.00"}, 409, "not-refundable"),
    Case("0", {"amount": 0}, *INVALID),
    Case("a negative amount", {"amount": -1}, *INVALID),
    Case("an amount of true", {"amount": True}, *INVALID),
    Case("an amount in an object", {"amount": {"$gt": 0}}, *INVALID),
    Case("an amount with an exponent", {"amount": 1e22}, *INVALID),
    Case("an infinite amount in a string", {"amount": "Infinity"}, *INVALID),
    Case("more decimals than the currency has", {"amount": 0.001}, *INVALID),
    Case("more than can be paid", {"amount": 1_000_000_000_000_000}, *INVALID),
    Case("a currency of one's own", {"amount": 1, "currency": "JPY"}, *INVALID),
    Case("a charge of one's own", {"chargeId": "ch_1"}, *INVALID),
    Case("a list", [], *INVALID),
    Case("a number of one's own", {"refundNumber": "R 1"}, 409, "not-refundable"),
    Case("a number of null, as if none were given", {"refundNumber": None}, 409, "not-refundable"),
    Case("a number of nothing", {"refundNumber": ""}, *INVALID),
    Case("a number with two spaces", {"refundNumber": "R  1"}, *INVALID),
    Case("a number with a space at the end", {"refundNumber": "R "}, *INVALID),
    Case("a number that does not show", {"refundNumber": "R\u202e1"}, *INVALID),
    Case("a number of 65 characters", {"refundNumber": "x" * 65}, *INVALID),
    Case("an operator for a number", {"refundNumber": {"$ne": None}}, *INVALID),
]
PAYMENTS = [
    Case("of what has not failed", {"paymentMethod": "pm_card_visa"}, 409, "not-payable"),
    Case("no method", {}, *INVALID),
    Case("a method of null", {"paymentMethod": None}, *INVALID),
    Case("an empty method", {"paymentMethod": ""}, *INVALID),
    Case("a method with a space", {"paymentMethod": "pm card"}, *INVALID),
    Case("a method of 256 characters", {"paymentMethod": "p" * 256}, *INVALID),
    Case("an operator for a method", {"paymentMethod": {"$gt": ""}}, *INVALID),
    Case("an amount of one's own", {"paymentMethod": "pm_card_visa", "amount": 1}, *INVALID),
    Case("a reference of one's own", {"paymentMethod": "pm_card_visa", "reference": "ord_1"}, *INVALID),
    Case("a list", [], *INVALID),
]
DECISIONS = [
    Case("no decision", {}, *INVALID),
    Case("a decision that there is not", {"decision": "redriven"}, *INVALID),
    Case("a decision of null", {"decision": None}, *INVALID),
    Case("an operator for a decision", {"decision": {"$ne": ""}}, *INVALID),
    Case("a decision about nothing", {"decision": "accept"}, *NOT_FOUND),
    Case("an event id of null, as if none were given", {"decision": "accept", "eventId": None}, *NOT_FOUND),
    Case("an operator for an event id", {"decision": "accept", "eventId": {"$ne": ""}}, *INVALID),
    Case("an event id that is a list", {"decision": "accept", "eventId": ["evt_1"]}, *INVALID),
    Case("an event id of any text", {"decision": "accept", "eventId": "$where\0"}, *NOT_FOUND),
]
IDS = ["x", "ord_" + "0" * 32, "$where", "%24ne", "ord_%2e%2e", "%F0%9F%98%80", "o" * 4000, "%00", "%ff"]
ACTIONS = [
    ("/api/orders/{}/cancel", b""),
    ("/api/orders/{}/refunds", b"{}"),
    ("/api/orders/{}/payments", b'{"paymentMethod": "pm_card_visa"}'),
    ("/api/orders/{}/reviews/x/resolve", b'{"decision": "accept"}'),
    ("/api/outbox/{}/redrive", b""),
]


async def placed(order_api: Target) -> str:
    answer = await exchange(order_api.port, order_api.post())
    assert answer.status == 201
    return str(answer.json["id"])


def as_json(sent: Any) -> bytes:
    return json.dumps(sent).encode()


@pytest.mark.parametrize("case", REFUNDS, ids=lambda case: case.name)
async def test_a_refund_is_of_an_amount_that_was_paid(order_api: Target, case: Case) -> None:
    path = f"/api/orders/{await placed(order_api)}/refunds"
    await order_api.expect(case, order_api.post(as_json(case.sent), to=path))


@pytest.mark.parametrize("case", PAYMENTS, ids=lambda case: case.name)
async def test_a_payment_is_made_with_a_method_once_an_order_has_failed(order_api: Target, case: Case) -> None:
    path = f"/api/orders/{await placed(order_api)}/payments"
    await order_api.expect(case, order_api.post(as_json(case.sent), to=path))


@pytest.mark.parametrize("case", DECISIONS, ids=lambda case: case.name)
async def test_a_decision_is_one_of_two_about_a_review_that_is_there(order_api: Target, case: Case) -> None:
    path = f"/api/orders/{await placed(order_api)}/reviews/second-charge/resolve"
    await order_api.expect(case, order_api.post(as_json(case.sent), to=path))


@pytest.mark.parametrize(("path", "body"), ACTIONS, ids=[path for path, _ in ACTIONS])
async def test_nothing_is_done_to_what_is_not_there(order_api: Target, path: str, body: bytes) -> None:
    for one in IDS:
        await order_api.expect(Case(one, None, *NOT_FOUND), order_api.post(body, to=path.format(one)))


async def test_a_body_that_cancelling_does_not_want_is_judged(order_api: Target) -> None:
    order_id = await placed(order_api)
    path = f"/api/orders/{order_id}/cancel"
    for body, refusal in (
        (b'{"reason": "too late"}', INVALID),
        (b"[]", INVALID),
        (b"garbage", (400, "malformed-json")),
        (b"x" * 65_537, (413, "body-too-large")),
    ):
        await order_api.expect(Case("", None, *refusal), order_api.post(body, to=path))
    untyped = order_api.post(b"{}", {"Content-Type": []}, to=path)
    await order_api.expect(Case("", None, 415, "unsupported-media-type"), untyped)
    assert (await exchange(order_api.port, order_api.get(f"/api/orders/{order_id}"))).json["status"] == "Pending"
    answer = await exchange(order_api.port, order_api.post(b"{}", to=path))
    assert (answer.status, answer.json["status"]) == (200, "Cancelled")


@pytest.mark.parametrize(
    "query",
    [
        "createdFrom=yesterday",
        "createdTo=2026-11-28",
        "createdFrom=2026-11-28T12:00:00",
        "createdTo=%24gt",
        "createdFrom=",
        "createdFrom=0001-01-01T00:00:00Z",
        "createdTo=2026-11-28T12:00:00Z&createdTo=2026-11-29T12:00:00Z",
        "createdFrom=" + "9" * 65,
    ],
)
async def test_a_time_of_a_list_is_understood_or_refused(order_api: Target, query: str) -> None:
    await order_api.expect(Case(query, None, *INVALID), order_api.get(f"/api/orders?{query}"))


@pytest.mark.parametrize("query", ["state=paid", "state=%24ne", "limit=0", "cursor=x", "state=dead&state=done"])
async def test_a_query_of_the_outbox_is_understood_or_refused(order_api: Target, query: str) -> None:
    await order_api.expect(Case(query, None, *INVALID), order_api.get(f"/api/outbox?{query}"))
