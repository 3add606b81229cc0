"""Finds what has not come to rest in the databases, or in one order, and says it in words."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from pymongo.errors import PyMongoError

from shared.mongo import Database, Document, connect, describe
from tools.chaos.invariants.rules import AUTOMATIC, stored_facts
from tools.chaos.invariants.sums import causes
from tools.chaos.world import World

_TO_BE_TOLD: Document = {"announce.0": {"$exists": True}}
OPEN_AT_THEIRS: Mapping[str, Document] = {
    "charges": {"$or": [{"status": "pending"}, {"due_at": {"$type": "date"}}, _TO_BE_TOLD]},
    "deliveries": {"$or": [{"state": "pending"}, {"hold": {"$exists": True}}]},
    "webhook_endpoints": _TO_BE_TOLD,
}
SOON = timedelta(seconds=60)  # by then all is judged


async def still_open(world: World) -> list[str]:
    """What has not come to rest, in words; nothing when all is quiet."""
    try:
        async with connect(world.mongodb_uri, app_name="judge") as client:
            ours, theirs = (client[name] for name in world.databases)
            return await open_in_all(ours, theirs)
    except PyMongoError as error:
        return [f"the database does not answer: {describe(error)}"]


async def open_in_all(ours: Database, theirs: Database) -> list[str]:
    """All that is open. A dead message, what waits for it or in vain, and an open dispute do not count: they are at rest."""
    waiting = [
        {"status": "Pending"},
        {"reconcile_at": {"$type": "date"}},
        {"refunds.state": "requested"},
        {"due_at": {"$ne": None}},
        {"calls.state": "open"},
        {"calls.claim": {"$type": "string"}},
        {"asks_left": {"$gt": 0}},
    ]
    soon = datetime.now(UTC) + SOON
    left = [one async for order in ours["orders"].find({"$or": waiting}) for one in open_in(order, soon)]
    async for event in ours["payment_events"].find({"outcome": {"$in": ["received", "unmatched"]}}):
        there = event["outcome"] == "received" or await ours["orders"].find_one({"_id": event["order_id"]}, {"_id": 1})
        if there:
            left.append(f"event {event['_id']} of {event['order_id']} is {event['outcome']}")
    for name, pending in OPEN_AT_THEIRS.items():
        left += [
            f"{one['_id']}, one of the provider's {name}, is not at rest"
            async for one in theirs[name].find(pending, {"_id": 1})
        ]
    return left


def open_in(order: Document, soon: datetime) -> list[str]:
    """What of an order has not come to rest, in words. What waits in vain is at rest until `soon`."""
    in_vain = waits_in_vain(order)
    at_rest = {call["refund_id"] for call in order["calls"] if call["refund_id"] in in_vain and call["due_at"] > soon}
    dead = {call["refund_id"] or order["_id"] for call in order["calls"] if call["state"] == "dead"}
    left = [
        f"message {call['id']} of {order['_id']} is {call['state']} after {call['attempts']} attempts: "
        f"{call['last_error'] or 'no error'}"
        for call in order["calls"]
        if (call["state"] == "open" or call["claim"] is not None) and call["refund_id"] not in at_rest
    ]
    left += [
        f"refund {refund['id']} of {order['_id']} is requested"
        for refund in order["refunds"]
        if refund["state"] == "requested" and refund["id"] not in dead | at_rest
    ]
    if order["due_at"] is not None and not left and not at_rest:
        left.append(f"order {order['_id']} is due, and nothing of it is")
    if order["status"] == "Pending" and order["_id"] not in dead:
        left.append(f"order {order['_id']} is Pending")
    disputed = any(dispute["state"] == "open" for dispute in order["disputes"])
    asked_about = order["reconcile_at"] is not None and not (dead or at_rest or disputed)
    if asked_about or order["asks_left"]:
        left.append(f"order {order['_id']} has an open question")
    return left


def waits_in_vain(order: Document) -> set[str]:
    """The ids of automatic refunds that wait to be asked for, because the provider does not give the charge back however
    often it is asked. A person was told.
    """
    facts = stored_facts(order)
    told = {about for code, about in causes(order["_id"], facts) if code == "not-given-back"}
    waiting = {call["refund_id"] for call in order["calls"] if call["state"] == "open" and call["claim"] is None}
    return {
        refund_id
        for refund_id, refund in facts.refunds.items()
        if refund.cause in AUTOMATIC and refund.charge_id in told and refund_id in waiting
    }
