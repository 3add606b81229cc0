"""Claims: writes that are right for any order they match as it is when it is written. C3, C11

By compare-and-set a claim of an order that changes often would starve. They are updates by pipeline, so whatever came from
outside is in them as a `$literal`.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from bson import ObjectId
from pymongo import UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import BulkWriteError, WriteError

from shared.backoff import exponential
from shared.leases import in_seconds
from shared.mongo import COUNTED, Collection, Document, count_error, describe
from shared.telemetry import log

_IS_DUE = {"due_at": {"$type": "date"}, "$expr": {"$lte": ["$due_at", "$$NOW"]}}
_TO_BE_ASKED = {"reconcile_at": {"$type": "date"}, "$expr": {"$lte": ["$reconcile_at", "$$NOW"]}}
_OPEN_CALLS = {"$filter": {"input": "$calls", "as": "call", "cond": {"$eq": ["$$call.state", "open"]}}}
_LEAST_DUE_AT = {"$min": {"$map": {"input": _OPEN_CALLS, "as": "call", "in": "$$call.due_at"}}}
HOUR_SECONDS, DAY_SECONDS = 3600.0, 86400.0
TURNS_OF_A_WEEK = 7 * 24 + 12  # with pauses that double to an hour; who is still asked about then is asked daily


async def take(orders: Collection, token: str, *, limit: int, lease_seconds: float) -> Sequence[Document]:
    """Claims up to `limit` calls that are due, the earliest first, under `token`: one attempt more, and due again when the
    lease ends, by the server's clock. Returns their orders as a majority has them then. Raises PyMongoError; a claim whose
    reply was lost lapses with its lease.
    """
    due_only = {"now": "$$NOW", "calls": {"id": 1, "state": 1, "due_at": 1}}
    stages: list[Document] = [{"$match": _IS_DUE}, {"$sort": {"due_at": 1}}, {"$limit": limit}, {"$project": due_only}]
    found = await (await orders.aggregate(stages)).to_list()
    wanted = list(_due_calls(found))[:limit]
    if not wanted:
        return []
    ids, calls = [order_id for _, order_id, _ in wanted], [call_id for _, _, call_id in wanted]
    is_ours = {
        "$and": [
            {"$in": ["$$call.id", {"$literal": calls}]},
            {"$eq": ["$$call.state", "open"]},
            {"$lte": ["$$call.due_at", "$$NOW"]},
        ]
    }
    claimed = {
        "claim": {"$literal": token},
        "due_at": in_seconds(lease_seconds),
        "attempts": {"$add": ["$$call.attempts", 1]},
        "first_attempt_at": {"$ifNull": ["$$call.first_attempt_at", "$$NOW"]},
        "updated_at": "$$NOW",
    }
    taken = {"$cond": [is_ours, {"$mergeObjects": ["$$call", claimed]}, "$$call"]}
    update: list[Mapping[str, Any]] = [
        {"$set": {"calls": {"$map": {"input": "$calls", "as": "call", "in": taken}}}},
        {"$set": {"due_at": _LEAST_DUE_AT}},
        {"$set": {**COUNTED, "writer": {"$literal": ObjectId()}}},
    ]
    try:
        await orders.update_many({"_id": {"$in": ids}, **_IS_DUE}, update)
    except WriteError as error:  # of one that is not as it must be; the others are claimed one by one
        log.error("not claimed together", collection=orders.name, reason=describe(error))
        one_by_one = [UpdateOne({"_id": one, **_IS_DUE}, update) for one in ids]
        await _write_what_can_be(orders, one_by_one)
    shown = {"calls": 1, "trace": 1, "status": 1, "charges.id": 1, "charges.reference": 1}
    return [order async for order in orders.find({"_id": {"$in": ids}}, shown)]


def _due_calls(orders: Iterable[Document]) -> list[tuple[datetime, str, str]]:
    due = [
        (call["due_at"], order["_id"], call["id"])
        for order in orders
        for call in order["calls"]
        if call["state"] == "open" and call["due_at"] <= order["now"]
    ]
    return sorted(due)


async def take_turns(
    collection: Collection, *, limit: int, base_seconds: float, cap_seconds: float = HOUR_SECONDS
) -> list[Document]:
    """Up to `limit` documents whose `reconcile_at` has come, each moved on to its next turn by us and nobody else: it is
    schedule and claim in one. The pauses grow from `base_seconds` to `cap_seconds`, and to a day after a week. Raises
    PyMongoError. C22
    """
    if limit < 1:
        return []
    found = await collection.find(_TO_BE_ASKED).sort("reconcile_at").limit(limit).to_list()
    if not found:
        return []
    writer = ObjectId()
    turns = [_turn(document, base_seconds, cap_seconds, writer) for document in found]
    ours = {"_id": {"$in": [document["_id"] for document in found]}, "writer": writer}
    # In one session, so that the look waits for a turn that no majority has yet.
    async with collection.database.client.start_session(causal_consistency=True) as session:
        await _write_what_can_be(collection, turns, session)
        taken = {one["_id"] async for one in collection.find(ours, {"_id": 1}, session=session)}
    return [document for document in found if document["_id"] in taken]


async def _write_what_can_be(
    collection: Collection, updates: Sequence[UpdateOne], session: AsyncClientSession | None = None
) -> None:
    """Writes them. One that is refused, or that no majority has yet, spoils no other: the caller reads the rest back."""
    try:
        await collection.bulk_write(updates, ordered=False, session=session)
    except BulkWriteError as error:
        count_error(error)
        log.error("not all were claimed", collection=collection.name, reason=describe(error))


async def hasten(orders: Collection, ids: Sequence[str], *, at: datetime) -> int:
    """Makes these orders' next question, and the next try of their calls, due `at` that time, which has come by the server's
    clock. What is due already or claimed stays as it is. Returns how many orders it changed. Raises PyMongoError. C3
    """
    waits = {"state": "open", "claim": None, "due_at": {"$gt": at}}
    hurried = [{"reconcile_at": None}, {"reconcile_at": {"$gt": at}}, {"calls": {"$elemMatch": waits}}]
    is_waiting = {
        "$and": [
            {"$eq": ["$$call.state", "open"]},
            {"$eq": [{"$ifNull": ["$$call.claim", None]}, None]},
            {"$gt": ["$$call.due_at", {"$literal": at}]},
        ]
    }
    due = {"$cond": [is_waiting, {"$mergeObjects": ["$$call", {"due_at": {"$literal": at}}]}, "$$call"]}
    update: list[Mapping[str, Any]] = [
        {"$set": {"calls": {"$map": {"input": "$calls", "as": "call", "in": due}}}},
        {"$set": {"due_at": _LEAST_DUE_AT}},
        {"$set": {"reconcile_at": {"$min": ["$reconcile_at", {"$literal": at}]}, "reconcile_attempts": 0}},
        {"$set": {**COUNTED, "writer": {"$literal": ObjectId()}}},
    ]
    written = await orders.update_many({"_id": {"$in": [*ids]}, "$or": hurried}, update)
    return written.modified_count


def _turn(document: Document, base_seconds: float, cap_seconds: float, writer: ObjectId) -> UpdateOne:
    attempts = document.get("reconcile_attempts", 0) + 1
    cap_seconds = cap_seconds if attempts <= TURNS_OF_A_WEEK else DAY_SECONDS
    pause = exponential(attempts, base_seconds=base_seconds, cap_seconds=cap_seconds)
    next_turn = {"reconcile_at": in_seconds(pause), "reconcile_attempts": attempts}
    return UpdateOne(
        {"_id": document["_id"], "reconcile_at": document["reconcile_at"]},
        [{"$set": {**next_turn, **COUNTED, "writer": {"$literal": writer}}}],
    )
