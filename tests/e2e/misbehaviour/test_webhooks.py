"""How webhooks go wrong, as a receiver sees it that verifies with the libraries of both schemes."""

import json
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest

from tests.e2e.misbehaviour.conftest import Shop, verdicts
from tests.http_double import Asked, always, http_double
from tests.waiting import until

FORGERIES = ["bad_signature", "stale_timestamp", "tampered_body", "retired_secret"]


def event_of(asked: Asked) -> Any:
    return json.loads(asked.body)


def at(time: str) -> datetime:
    return datetime.fromisoformat(time)


async def test_delayed(shop: Shop) -> None:
    charge = await shop.paid(scenario={"webhooks": ["delayed"], "webhookDelaySeconds": 0.7})
    [delivery] = await shop.deliveries(charge["id"])
    waited = at(delivery["attempts"][0]["at"]) - at(charge["settledAt"])
    assert (delivery["fault"], waited.total_seconds() >= 0.7) == ("delayed", True)


async def test_dropped(shop: Shop) -> None:
    charge = await shop.paid(scenario={"webhooks": ["dropped"]})
    [delivery] = await shop.deliveries(charge["id"])
    assert (delivery["state"], delivery["fault"], delivery["attempts"]) == ("cancelled", "dropped", [])
    later = await shop.paid()
    await shop.hears(later["id"])
    assert shop.heard(charge["id"]) == []


async def test_what_was_dropped_is_listed_as_not_delivered_from_the_moment_it_was_announced(shop: Shop) -> None:
    charge = await shop.paid(scenario={"webhooks": ["dropped"]})
    heard_id = (await shop.paid(reference=charge["reference"]))["id"]
    await shop.deliveries(charge["id"])

    async def listed(**query: str) -> list[str]:
        path = "/v1/events?" + urlencode({"reference": charge["reference"], **query})
        return [one["data"]["id"] for one in await shop.listed(path)]

    async def is_recorded() -> bool:
        return await listed(delivered="true") == [heard_id]

    await until(is_recorded, "the other event to be delivered, and to count as such")
    [event] = [one for one in await shop.listed("/v1/events") if one["data"]["id"] == charge["id"]]
    announced = event["timestamp"]
    much_later = (at(announced) + timedelta(days=1)).isoformat()
    assert await listed(delivered="false", createdFrom=announced) == [charge["id"]]
    assert await listed(delivered="false", createdFrom=much_later) == []
    assert await listed(createdFrom=much_later) == []
    assert len(await listed()) == len(await listed(createdFrom=announced)) == 2
    assert charge["id"] not in await listed(delivered="true")


@pytest.mark.parametrize(
    "query",
    [
        "delivered=no",
        "createdFrom=",
        "createdFrom=yesterday",
        "createdFrom=1764322000",
        "createdFrom=2026-11-28T10:00:00",
    ],
)
async def test_a_question_about_events_that_makes_no_sense_is_refused(shop: Shop, query: str) -> None:
    reply = await shop.call("GET", f"/v1/events?{query}")
    assert (reply.status, reply.json["type"]) == (422, "/problems/invalid-fields")
    assert reply.json["errors"][0]["pointer"] == query.partition("=")[0]


async def test_duplicated(shop: Shop) -> None:
    charge = await shop.paid(scenario={"webhooks": ["duplicated"], "copies": 4})
    heard = await shop.hears(charge["id"], 4)
    assert len(await shop.deliveries(charge["id"], 4)) == 4
    assert ({one.headers["webhook-id"] for one in heard}, {one.body for one in heard}) == (
        {heard[0].headers["webhook-id"]},
        {heard[0].body},
    )


async def test_early(shop: Shop) -> None:
    reply = await shop.charge(scenario={"webhooks": ["early"]})
    assert reply.json["status"] == "pending"
    assert len(shop.heard(reply.json["id"])) == 1


async def test_a_refund_that_is_early(shop: Shop) -> None:
    charge = await shop.paid()
    reply = await shop.refund(charge["id"], scenario={"webhooks": ["early"]})
    assert len(shop.heard(reply.json["id"])) == 1


async def test_out_of_order(shop: Shop) -> None:
    """It would wait for a week; the next event releases it."""
    first = await shop.paid(scenario={"webhooks": ["out_of_order"], "webhookDelaySeconds": 604800})
    second = await shop.paid()
    [heard] = await shop.hears(first["id"])
    order = shop.receiver.asked
    assert order.index(heard) > order.index(shop.heard(second["id"])[0])


async def test_what_is_out_of_order_is_not_held_for_longer_than_its_delay(shop: Shop) -> None:
    charge = await shop.paid(scenario={"webhooks": ["out_of_order"], "webhookDelaySeconds": 0.3})
    [delivery] = await shop.deliveries(charge["id"])
    assert (delivery["state"], delivery["fault"]) == ("delivered", "out_of_order")


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_both_libraries_refuse_a_forgery_and_accept_the_true_retry(shop: Shop, forgery: str) -> None:
    charge = await shop.paid(scenario={"webhooks": [forgery]})
    heard = await shop.hears_truth(charge["id"])
    assert [verdicts(one) for one in heard] == [[False, False], [True, True]]


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_during_a_rotation_both_libraries_refuse_a_forgery_and_accept_the_true_retry_under_either_secret(
    shop: Shop, forgery: str
) -> None:
    async with http_double(always(500)) as receiver:
        added = (await shop.call("POST", "/v1/webhook-endpoints", {"url": receiver.url}, **fresh_key())).json
        path = f"/v1/webhook-endpoints/{added['id']}"
        secrets = [added["secret"]]
        for overlap in (0, 3600):  # the first is retired, the second signs along
            asked = {"overlapSeconds": overlap}
            secrets.append((await shop.call("POST", f"{path}/rotate-secret", asked, **fresh_key())).json["secret"])
        charge = await shop.paid(scenario={"webhooks": [forgery]})
        forged, true = (await Shop(shop.http, shop.url, receiver).hears(charge["id"], 2))[:2]
        await shop.call("DELETE", path)
    for secret in secrets[1:]:
        assert verdicts(forged, secret) == [False, False]
        assert verdicts(true, secret) == [True, True]
    assert verdicts(true, secrets[0]) == [False, False]
    assert verdicts(forged, secrets[0]) == [forgery == "retired_secret"] * 2


def fresh_key() -> dict[str, str]:
    return {"Idempotency-Key": uuid4().hex}


async def test_forgeries_come_in_the_order_given_and_attempts_show_them(shop: Shop) -> None:
    asked = ["tampered_body", "retired_secret", "bad_signature", "bad_signature"]
    charge = await shop.paid(scenario={"webhooks": asked})
    [delivery] = await shop.deliveries(charge["id"])
    assert [attempt["forgery"] for attempt in delivery["attempts"]] == [*asked, None]
    assert [attempt["status"] for attempt in delivery["attempts"]] == [401, 401, 401, 401, 200]


async def test_a_tampered_body_is_about_another_amount(shop: Shop) -> None:
    charge = await shop.paid(scenario={"webhooks": ["tampered_body"]})
    forged, true = await shop.hears_truth(charge["id"])
    assert forged.body == true.body.replace(b'"amount":9999', b'"amount":19999')


async def test_a_wrong_amount_comes_first_as_an_event_of_its_own_and_the_truth_follows(shop: Shop) -> None:
    charge = await shop.paid(scenario={"wrongAmount": True, "webhookDelaySeconds": 604800})
    wrong, true = [event["data"]["amount"] for event in map(event_of, await shop.hears(charge["id"], 2))]
    assert (wrong, true) == (10000, 9999)
    ids = {one.headers["webhook-id"] for one in shop.heard(charge["id"])}
    events = [event for event in await shop.listed("/v1/events") if event["data"]["id"] == charge["id"]]
    assert ({event["id"] for event in events}, [event["data"]["amount"] for event in events]) == (ids, [9999, 10000])
    assert all(verdicts(one) == [True, True] for one in shop.heard(charge["id"]))


async def test_faults_come_together(shop: Shop) -> None:
    """Each of two copies is held for the event with the wrong amount, and forged once."""
    scenario = {"wrongAmount": True, "webhooks": ["duplicated", "bad_signature"], "copies": 2}
    charge = await shop.paid(scenario=scenario)
    deliveries = await shop.deliveries(charge["id"], 3)
    assert sorted(str(one["fault"]) for one in deliveries) == ["None", "duplicated", "wrong_amount"]
    assert sorted(len(one["attempts"]) for one in deliveries) == [1, 2, 2]
    assert [event["data"]["amount"] for event in map(event_of, shop.heard(charge["id"]))] == [10000] + [9999] * 4


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"paymentMethod": "pm_card_declined"}, "card_declined"),
        ({"paymentMethod": "pm_insufficient_funds"}, "insufficient_funds"),
        ({"paymentMethod": "pm_expired_card"}, "expired_card"),
        ({"paymentMethod": "pm_incorrect_cvc"}, "incorrect_cvc"),
        ({"paymentMethod": "pm_lost_card"}, "lost_card"),
        ({"paymentMethod": "pm_stolen_card"}, "stolen_card"),
        ({"paymentMethod": "pm_processing_error"}, "processing_error"),
        ({"paymentMethod": "pm_503|pm_stolen_card"}, "stolen_card"),
    ],
)
async def test_a_charge_that_fails_says_why(shop: Shop, asked: dict[str, str], code: str) -> None:
    key, reference = uuid4().hex, uuid4().hex
    for _ in asked["paymentMethod"].split("|"):
        reply = await shop.charge(key, reference=reference, **asked)
    [heard] = await shop.hears(reply.json["id"])
    assert (event_of(heard)["type"], event_of(heard)["data"]["failureCode"]) == ("payment.failed", code)


@pytest.mark.parametrize(
    "asked", [{"paymentMethod": "pm_slow"}, {"scenario": {"settleDelaySeconds": 60}}], ids=["token", "scenario"]
)
async def test_a_slow_charge_is_pending_for_a_minute(shop: Shop, asked: dict[str, Any]) -> None:
    created = (await shop.charge(**asked)).json
    other = await shop.paid()
    await shop.hears(other["id"])
    assert (await shop.call("GET", f"/v1/charges/{created['id']}")).json["status"] == "pending"


@pytest.mark.parametrize("way", ["token", "scenario"])
async def test_a_refund_that_fails_gives_back_what_it_had_reserved(shop: Shop, way: str) -> None:
    """C25"""
    charge = await shop.paid(paymentMethod="pm_refund_fails" if way == "token" else "pm_card_visa")
    scenario = {} if way == "token" else {"failureCode": "refused"}
    refund = (await shop.refund(charge["id"], amount=9999, scenario=scenario)).json
    [heard] = await shop.hears(refund["id"])
    assert (event_of(heard)["type"], event_of(heard)["data"]["failureCode"]) == ("refund.failed", "refused")
    assert (await shop.call("GET", f"/v1/charges/{charge['id']}")).json["amountRefunded"] == 0
    assert (await shop.refund(charge["id"], amount=9999)).status == 201


async def test_refunds_are_listed_by_charge_and_status(shop: Shop) -> None:
    charge = await shop.paid()
    failed = (await shop.refund(charge["id"], scenario={"failureCode": "refused"})).json["id"]
    succeeded = (await shop.refund(charge["id"])).json["id"]
    for one in (failed, succeeded):
        await shop.ended(f"/v1/refunds/{one}")
    both = [one["id"] for one in await shop.listed(f"/v1/refunds?chargeId={charge['id']}")]
    assert both == [succeeded, failed]
    [found] = await shop.listed(f"/v1/refunds?chargeId={charge['id']}&status=failed")
    assert found["id"] == failed
