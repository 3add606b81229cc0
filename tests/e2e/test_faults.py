"""order_api against a provider that does everything wrong that one can, at once: every order ends as its events say."""

import asyncio
import itertools
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import aiohttp

from order_api.outbox import charge_message_id
from payment_gateway.faults import RATED, Faults, drawn_reply
from shared.mongo import Database, Document
from tests.e2e.conftest import (
    EVERY_FAULT,
    RATES,
    StartStack,
    order_body,
    place_until_acknowledged,
    put_faults,
)
from tests.waiting import until

Databases = tuple[Database, Database]

ORDERS = 100  # with each seed
METHODS = itertools.cycle(["pm_card_visa", "pm_card_visa", "pm_insufficient_funds"])


class Told(NamedTuple):
    """What the provider says happened to an order: by its events, and by nothing that order_api has stored."""

    status: str
    charges: dict[str, str]
    wrong_events: set[str]


async def test_with_every_fault_at_once_each_order_settles_as_its_events_say(
    start_stack: StartStack, databases: Databases, http: aiohttp.ClientSession
) -> None:
    order_ids: list[str] = []
    struck: set[str] = set()
    with start_stack(order_apis=2, gateways=2, RECONCILE_AFTER_SECONDS="1") as stack:
        urls = itertools.cycle([service.url for service in stack.order_apis])
        for seed in (1, 2):
            put_faults(stack, {**EVERY_FAULT, "seed": seed})
            placing = [
                place_until_acknowledged(http, lambda: next(urls), order_body(paymentMethod=next(METHODS)))
                for _ in range(ORDERS)
            ]
            placed = await asyncio.gather(*placing)
            order_ids += placed
            await until(nothing_is_open(databases, len(order_ids)), "nothing is left to do")
            struck |= await spoiled_replies(databases[1], placed, Faults(seed=seed, rates=RATES))
    assert len(set(order_ids)) == 2 * ORDERS
    orders = {order["_id"]: order async for order in databases[0]["orders"].find()}
    told = await told_by_the_provider(databases[1], orders)
    assert {order_id: shown(order) for order_id, order in orders.items()} == told
    struck |= await spoiled_webhooks_and_outcomes(databases[1])
    assert struck == set(RATED) - {"refund_failed"}, "every fault has struck; no order here is refunded"


def shown(order: Document) -> Told:
    reviews = [(review["code"], review["event_id"]) for review in order["reviews"]]
    assert {code for code, _ in reviews} <= {"event-mismatch"}, order
    charges = {charge["id"]: charge["state"] for charge in order["charges"]}
    return Told(order["status"], charges, {event_id for _, event_id in reviews})


async def told_by_the_provider(gateway: Database, orders: dict[str, Document]) -> dict[str, Told]:
    told = {order_id: Told("Pending", {}, set()) for order_id in orders}
    async for stored in gateway["events"].find():
        event = json.loads(stored["raw"])
        charge = event["data"]
        order = orders[charge["reference"]]
        if charge["amount"] != order["amount_minor"]:
            told[order["_id"]].wrong_events.add(event["id"])
            continue
        told[order["_id"]].charges[charge["id"]] = event["type"].removeprefix("payment.")
    ended = {order_id: one.charges.values() for order_id, one in told.items()}
    assert {len(states) for states in ended.values()} == {1}, "each order has one charge, whatever went wrong"
    return {
        order_id: one._replace(status="Paid" if "succeeded" in ended[order_id] else "Failed")
        for order_id, one in told.items()
    }


def nothing_is_open(databases: Databases, orders: int) -> Any:
    open_work = (
        (databases[0]["orders"], {"reconcile_at": {"$ne": None}}),
        (databases[0]["outbox"], {"state": {"$nin": ["done"]}}),
        (databases[0]["payment_events"], {"outcome": "unmatched"}),
        (databases[1]["charges"], {"status": "pending"}),
        (databases[1]["deliveries"], {"state": "pending"}),
    )

    async def condition() -> bool:
        if await databases[0]["orders"].count_documents({"status": {"$ne": "Pending"}}) < orders:
            return False
        return not any([await collection.count_documents(open_) for collection, open_ in open_work])

    return condition


async def spoiled_replies(gateway: Database, order_ids: Sequence[str], faults: Faults) -> set[str]:
    """The rates that spoiled a reply to an attempt to charge one of these orders."""
    keys = {f"default:{key}": key for key in map(charge_message_id, order_ids)}
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
    return struck
