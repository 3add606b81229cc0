"""Disputes, as a shop sees them: by a card, and at once."""

import json
from typing import Any

from tests.e2e.misbehaviour.conftest import Shop, verdicts
from tests.waiting import until


async def opened(shop: Shop, charge: Any, **body: Any) -> Any:
    reply = await shop.call("POST", f"/v1/test/charges/{charge['id']}/dispute", body)
    assert reply.status == 201, reply.body
    return reply.json


async def test_a_card_is_disputed_after_it_has_paid(shop: Shop) -> None:
    charge = await shop.paid(paymentMethod="pm_card_disputed", scenario={"webhooks": ["bad_signature"]})
    found: list[Any] = []

    async def is_disputed() -> bool:
        found[:] = await shop.listed(f"/v1/disputes?reference={charge['reference']}")
        return bool(found)

    await until(is_disputed, "the charge is disputed")
    [dispute] = found
    assert (dispute["status"], dispute["amount"], dispute["closedAt"]) == ("open", charge["amount"], None)
    heard = await shop.hears_truth(dispute["id"])
    assert [verdicts(one) for one in heard] == [[False, False], [True, True]], "it goes wrong as its charge does"
    assert json.loads(heard[-1].body)["type"] == "dispute.created"
    assert json.loads(heard[-1].body)["data"] == dispute
    assert (await shop.call("GET", f"/v1/disputes/{dispute['id']}")).json == dispute


async def test_a_dispute_is_closed_once_and_told_once(shop: Shop) -> None:
    dispute = await opened(shop, await shop.paid(), amount=500, reason="product_not_received")
    path = f"/v1/test/disputes/{dispute['id']}/close"
    closed = await shop.call("POST", path, {"outcome": "won"})
    assert (closed.status, closed.json["status"], closed.json["reason"]) == (200, "won", "product_not_received")
    again = await shop.call("POST", path, {"outcome": "won"})
    assert (again.status, again.json) == (200, closed.json)
    otherwise = await shop.call("POST", path, {"outcome": "lost"})
    assert (otherwise.status, otherwise.json["type"]) == (409, "/problems/dispute-closed")
    told = [json.loads(one.body) for one in await shop.hears(dispute["id"], 2)]
    assert sorted(one["type"] for one in told) == ["dispute.closed", "dispute.created"]


async def test_what_is_disputed_cannot_be_refunded(shop: Shop) -> None:
    charge = await shop.paid()
    dispute = await opened(shop, charge, amount=9000)
    refused = await shop.refund(charge["id"], amount=1000)
    assert (refused.status, refused.json["type"]) == (409, "/problems/exceeds-paid")
    assert (await shop.refund(charge["id"], amount=999)).status == 201
    await shop.call("POST", f"/v1/test/disputes/{dispute['id']}/close", {"outcome": "won"})
    assert (await shop.refund(charge["id"], amount=9000)).status == 201


async def test_what_cannot_be_disputed_is_refused_by_name(shop: Shop) -> None:
    declined, paid = await shop.paid(paymentMethod="pm_card_declined"), await shop.paid()
    for path, body, problem in (
        (f"charges/{declined['id']}/dispute", {}, (409, "not-disputable")),
        (f"charges/{paid['id']}/dispute", {"amount": 10000}, (409, "exceeds-paid")),
        (f"charges/{paid['id']}/dispute", {"amount": 0}, (422, "invalid-fields")),
        (f"charges/{paid['id']}/dispute", {"reason": "Fraud!"}, (422, "invalid-fields")),
        ("charges/ch_1/dispute", {}, (404, "not-found")),
        ("disputes/dp_1/close", {"outcome": "won"}, (404, "not-found")),
        ("disputes/dp_1/close", {"outcome": "open"}, (422, "invalid-fields")),
    ):
        reply = await shop.call("POST", f"/v1/test/{path}", body)
        assert (reply.status, reply.json["type"].removeprefix("/problems/")) == problem, path
    assert (await shop.call("GET", "/v1/disputes/dp_1")).status == 404
