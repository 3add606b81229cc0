"""Rates: what goes wrong by itself follows from a seed and the Idempotency-Keys."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import pytest

from payment_gateway.faults.rates import RATED
from tests.e2e.misbehaviour.conftest import Shop, verdicts

ATTEMPTS = 3
Told: TypeAlias = dict[str, Any]
SOON = {"settleDelaySeconds": 0.1, "replySeconds": 0.05, "webhookDelaySeconds": 0.3, "copies": 2}


@pytest.fixture
async def rated(shop: Shop) -> AsyncIterator[Shop]:
    """A shop whose gateway has nothing stored, and has no rates afterwards."""
    await shop.call("POST", "/v1/test/reset")
    yield shop
    await shop.call("DELETE", "/v1/test/faults")


async def story(shop: Shop, count: int) -> list[Told]:
    """What happens to charges with the same keys as ever: each reply, how the charge ended, and how its webhooks came."""
    return list(await asyncio.gather(*(_told(shop, f"key-{number}") for number in range(count))))


async def _told(shop: Shop, key: str) -> Told:
    replies = [await shop.charge(key, reference=key) for _ in range(ATTEMPTS)]
    found = await shop.listed(f"/v1/charges?reference={key}")
    told: Told = {"replies": [(reply.status, len(reply.body) > 300) for reply in replies]}
    if found:
        charge = await shop.ended(f"/v1/charges/{found[0]['id']}")
        deliveries = await shop.deliveries(charge["id"])
        told["status"] = charge["status"]
        told["deliveries"] = sorted(
            [str(one["fault"]), one["state"], [attempt["forgery"] for attempt in one["attempts"]]] for one in deliveries
        )
    return told


async def test_the_same_seed_and_keys_give_the_same_faults_after_a_reset(rated: Shop) -> None:
    faults = {"seed": 42, "rates": dict.fromkeys(RATED, 0.2), **SOON}
    stories = []
    for _ in range(2):
        await rated.call("POST", "/v1/test/reset")
        assert (await rated.call("PUT", "/v1/test/faults", faults)).status == 200
        stories.append(await story(rated, 30))
    assert stories[0] == stories[1]
    assert len({str(told) for told in stories[0]}) > 10


async def test_another_seed_gives_others(rated: Shop) -> None:
    stories = []
    for seed in (1, 2):
        await rated.call("POST", "/v1/test/reset")
        await rated.call("PUT", "/v1/test/faults", {"seed": seed, "rates": {"declined": 0.5}})
        stories.append(await story(rated, 20))
    assert stories[0] != stories[1]


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ("lost", 0),
        ("timeout", 0),
        ("slow", 201),
        ("too_many_requests", 429),
        ("server_error", 500),
        ("unavailable", 503),
        ("malformed_json", 201),
        ("wrong_reference", 201),
    ],
)
async def test_each_reply_fault_has_a_rate(rated: Shop, fault: str, status: int) -> None:
    await rated.call("PUT", "/v1/test/faults", {"rates": {f"reply_{fault}": 1}, "replySeconds": 0.1})
    assert (await rated.charge()).status == status


@pytest.mark.parametrize(
    "fault", ["delayed", "dropped", "early", "out_of_order", "duplicated", "bad_signature", "tampered_body"]
)
async def test_each_webhook_fault_has_a_rate(rated: Shop, fault: str) -> None:
    await rated.call("PUT", "/v1/test/faults", {"rates": {f"webhook_{fault}": 1}, **SOON})
    charge = await rated.paid()
    deliveries = await rated.deliveries(charge["id"], 2 if fault == "duplicated" else 1)
    shown = [one["fault"] for one in deliveries] + [one["forgery"] for each in deliveries for one in each["attempts"]]
    assert fault in shown


async def test_outcomes_have_rates(rated: Shop) -> None:
    charge = await rated.paid()
    await rated.call("PUT", "/v1/test/faults", {"rates": {"declined": 1, "refund_failed": 1, "wrong_amount": 1}})
    assert (await rated.paid())["failureCode"] == "card_declined"
    refund = (await rated.refund(charge["id"])).json
    heard = await rated.hears(refund["id"], 2)
    assert all(b"refund.failed" in one.body and verdicts(one) == [True, True] for one in heard)


async def test_rates_add_to_what_a_request_asks_for(rated: Shop) -> None:
    await rated.call("PUT", "/v1/test/faults", {"rates": {"webhook_bad_signature": 1, "webhook_dropped": 1}})
    charge = await rated.paid(scenario={"webhooks": ["stale_timestamp"]})
    heard = await rated.hears_truth(charge["id"])
    assert [verdicts(one) for one in heard] == [[False, False], [False, False], [True, True]]


async def test_the_rates_are_shown_until_they_are_deleted(rated: Shop) -> None:
    faults = {"seed": 7, "rates": {"declined": 1.0}, **SOON, "retryAfterSeconds": 1, "retryAfterAsDate": True}
    await rated.call("PUT", "/v1/test/faults", faults)
    assert (await rated.call("GET", "/v1/test/faults")).json == faults
    await rated.call("DELETE", "/v1/test/faults")
    assert (await rated.call("GET", "/v1/test/faults")).json["rates"] == {}
    assert (await rated.paid())["status"] == "succeeded"


@pytest.mark.parametrize(
    ("faults", "pointer"),
    [
        ({"rates": {"reply_late": 0.1}}, "/rates/reply_late"),
        ({"rates": {"declined": 1.1}}, "/rates"),
        ({"rates": {"declined": -0.1}}, "/rates"),
        ({"seed": -1}, "/seed"),
        ({"seed": 0.5}, "/seed"),
        ({"replySeconds": 121}, "/replySeconds"),
        ({"copies": 1}, "/copies"),
        ({"rate": {}}, "/rate"),
    ],
)
async def test_rates_that_cannot_be_are_refused_by_their_member(rated: Shop, faults: Told, pointer: str) -> None:
    reply = await rated.call("PUT", "/v1/test/faults", faults)
    assert (reply.status, reply.json["errors"][0]["pointer"]) == (422, pointer)


async def test_a_reset_ends_the_rates(rated: Shop) -> None:
    await rated.call("PUT", "/v1/test/faults", {"rates": {"reply_server_error": 1}})
    await rated.call("POST", "/v1/test/reset")
    assert (await rated.charge()).status == 201
    assert (await rated.call("GET", "/v1/test/faults")).json["rates"] == {}
