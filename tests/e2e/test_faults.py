"""order_api against a provider that does everything wrong that one can, at once: every order ends as its events say."""

import asyncio
import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import aiohttp

from order_api.outbox import charge_call_id
from order_api.reviews import TRIES_BEFORE_A_REVIEW
from payment_gateway.faults.rates import Faults, drawn_reply
from shared.mongo import Collection, Database, Document
from shared.times import utc_now
from tests.e2e.conftest import (
    EVERY_FAULT,
    RATES,
    StartStack,
    make_due,
    order_body,
    place_until_acknowledged,
    put_faults,
)
from tests.waiting import until
from tools.stack import Stack

Databases = tuple[Database, Database]

ORDERS = 100  # with each seed
AMOUNT_MINOR = 9999
FAULTS = {**EVERY_FAULT, "rates": {**RATES, "refund_failed": 0.25}}  # refunds are fewer
METHODS = ("pm_card_visa", "pm_card_visa", "pm_insufficient_funds")


class Told(NamedTuple):
    """What the provider says happened to an order: by its events, and by nothing that order_api has stored."""

    status: str
    charges: dict[str, str]
    refunds: dict[str, str]
    reviews: set[tuple[str, str]]


async def test_with_every_fault_at_once_each_order_settles_as_its_events_say(
    start_stack: StartStack, databases: Databases, http: aiohttp.ClientSession
) -> None:
    struck: set[str] = set()
    with start_stack(order_apis=2, gateways=2, RECONCILE_AFTER_SECONDS="1") as stack:
        urls = itertools.cycle([service.url for service in stack.order_apis])

        async def place(number: int) -> str:
            body = order_body(paymentMethod=METHODS[number % len(METHODS)])
            return await place_until_acknowledged(http, lambda: next(urls), body)

        for seed in (1, 2):
            put_faults(stack, {**FAULTS, "seed": seed})
            placed = await asyncio.gather(*(place(number) for number in range(ORDERS)))
            await until(no_call_is_open(databases[0]), "the provider has all charges")
            await asyncio.gather(*(charge_again(http, stack, order_id) for order_id in placed[:: len(METHODS)]))
            await until(nothing_is_open(databases), "nothing is left to do")
            struck |= await spoiled_replies(databases[1], placed, Faults(seed=seed, rates=RATES))
    orders = {order["_id"]: shown(order) async for order in databases[0]["orders"].find()}
    assert len(orders) == 2 * ORDERS
    assert orders == await told_by_the_provider(databases[1])
    assert struck | await spoiled_webhooks_and_outcomes(databases[1]) == set(RATES)


async def charge_again(http: aiohttp.ClientSession, stack: Stack, order_id: str) -> None:
    """A second charge for an order. order_api has not asked for it, so it must be told: an event that is to come three times
    is not dropped by the rates.
    """
    told = {"webhooks": ["duplicated"], "webhookDelaySeconds": 1, "replySeconds": 0.3}
    headers = {"Authorization": f"Bearer {stack.api_key}", "Idempotency-Key": f"again-{order_id}"}
    body = {"amount": AMOUNT_MINOR, "currency": "USD", "reference": order_id, "scenario": told}
    while True:
        try:
            async with http.post(f"{stack.gateways[0].url}/v1/charges", json=body, headers=headers) as response:
                if response.status == 201 and (await response.json())["reference"] == order_id:
                    return
        except (aiohttp.ClientConnectionError, ValueError):
            pass
        await asyncio.sleep(0.05)


def shown(order: Document) -> Told:
    return Told(
        order["status"],
        {charge["id"]: charge["state"] for charge in order["charges"]},
        {refund["id"]: refund["state"] for refund in order["refunds"]},
        {(review["code"], review["event_id"]) for review in order["reviews"]},
    )


async def told_by_the_provider(gateway: Database) -> dict[str, Told]:
    """By order. Of several charges that succeeded one is kept, the earliest; what was taken too much has been given back,
    however often that failed.
    """
    told: dict[str, Told] = defaultdict(lambda: Told("Failed", {}, {}, set()))
    settled: dict[str, str] = {}
    given_back, missed = Counter[str](), Counter[str]()
    async for stored in gateway["events"].find():
        event = json.loads(stored["raw"])
        subject, (noun, state) = event["data"], event["type"].split(".")
        one = told[subject["reference"] if noun == "payment" else subject["chargeReference"]]
        if stored["fault"] == "wrong_amount":
            one.reviews.add(("event-mismatch", event["id"]))
        elif noun == "payment":
            one.charges[subject["id"]] = state
            settled[subject["id"]] = subject["settledAt"]
        else:
            one.refunds[subject["reference"]] = state
            (given_back if state == "succeeded" else missed)[subject["chargeId"]] += subject["amount"]
    for order_id, one in told.items():
        succeeded = [charge for charge, state in one.charges.items() if state == "succeeded"]
        succeeded.sort(key=lambda charge: (settled[charge], charge))
        kept, others = succeeded[:1], succeeded[1:]
        told[order_id] = one._replace(status="Paid" if kept else "Failed")
        often = [charge for charge in others if missed[charge] >= TRIES_BEFORE_A_REVIEW * AMOUNT_MINOR]
        one.reviews.update(("not-given-back", charge) for charge in often)
        assert [given_back[charge] for charge in others] == [AMOUNT_MINOR] * len(others)
        assert not any(given_back[charge] for charge in kept)
    return told


def no_call_is_open(order_api: Database) -> Any:
    async def condition() -> bool:
        return not await order_api["orders"].count_documents({"calls.state": "open"})

    return condition


def nothing_is_open(databases: Databases) -> Any:
    """What is given back again after a pause is given back now."""
    order_api, gateway = databases
    open_work: dict[Collection, Document] = {
        order_api["orders"]: {
            "$or": [
                {"status": "Pending"},
                {"reconcile_at": {"$ne": None}},
                {"calls": {"$elemMatch": {"state": {"$ne": "done"}}}},
            ]
        },
        order_api["payment_events"]: {"outcome": {"$in": ["received", "unmatched"]}},
        gateway["charges"]: {"due_at": {"$ne": None}},
        gateway["deliveries"]: {"state": "pending"},
    }

    async def condition() -> bool:
        later = {"$gt": utc_now() + timedelta(seconds=5)}
        await make_due(order_api["orders"], {"kind": "refund", "state": "open", "claim": None, "due_at": later})
        counts = [await collection.count_documents(open_) for collection, open_ in open_work.items()]
        return not any(counts)

    return condition


async def spoiled_replies(gateway: Database, order_ids: Sequence[str], faults: Faults) -> set[str]:
    """The rates that spoiled a reply to an attempt to charge one of these orders."""
    keys = {f"default:POST /v1/charges:{key}": key for key in map(charge_call_id, order_ids)}
    struck: set[str] = set()
    async for tried in gateway["reply_attempts"].find({"_id": {"$in": list(keys)}}):
        drawn = {drawn_reply(faults, keys[tried["_id"]], number) for number in range(1, tried["attempts"] + 1)}
        struck |= {f"reply_{fault}" for fault in drawn if fault}
    return struck


async def spoiled_webhooks_and_outcomes(gateway: Database) -> set[str]:
    """The other rates that have struck, by what is stored of it."""
    struck: set[str] = set()
    async for delivery in gateway["deliveries"].find():
        names = {delivery["fault"], *(attempt["forgery"] for attempt in delivery["attempts"])}
        struck |= {name if name == "wrong_amount" else f"webhook_{name}" for name in names if name}
    async for charge in gateway["charges"].find():
        struck |= {"declined"} if charge["failure_code"] == "card_declined" else set()
        struck |= {"settle_slow"} if "settleDelaySeconds" in charge["scenario"] else set()
    if await gateway["charges"].find_one({"refunds.status": "failed"}):
        struck.add("refund_failed")
    return struck
