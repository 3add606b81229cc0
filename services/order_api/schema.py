"""The collections of order_api: validators and indexes, made at every start, by several replicas at once if need be.

The validators are the last line of defence against our own mistakes, and documentation for whoever opens mongosh.
"""

from typing import Any, get_args

from pymongo import ASCENDING, DESCENDING, IndexModel

from order_api import event, order, outbox
from shared.mongo import Database, ensure_collection


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"bsonType": "object", "required": list(required), "properties": {**required, **(optional or {})}}


def _one_of(literal: Any) -> dict[str, Any]:
    return {"enum": list(get_args(literal))}


STRING = {"bsonType": "string"}
TEXT_OR_NULL = {"bsonType": ["string", "null"]}
DATE = {"bsonType": "date"}
DATE_OR_NULL = {"bsonType": ["date", "null"]}
COUNT = {"bsonType": ["int", "long"], "minimum": 0}
VERSION = {"bsonType": "long", "minimum": 0}
AMOUNT = {"bsonType": "long", "minimum": 1}

_CHARGE = _object({"id": STRING, "state": _one_of(order.ChargeState), "amount_minor": AMOUNT, "at": DATE})
_REFUND = _object(
    {
        "id": STRING,
        "charge_id": STRING,
        "amount_minor": AMOUNT,
        "state": _one_of(order.RefundState),
        "cause": _one_of(order.RefundCause),
        "at": DATE,
    }
)
_REVIEW = _object({"code": STRING, "event_id": STRING, "raised_at": DATE}, {"resolved_at": DATE_OR_NULL})

ORDERS = _object(
    {
        "_id": {"bsonType": "string", "pattern": "^ord_[0-9a-f]{32}$"},
        "merchant": STRING,
        "order_number": STRING,
        "amount_minor": AMOUNT,
        "currency": {"bsonType": "string", "pattern": "^[A-Z]{3}$"},
        "payment_method": STRING,
        "metadata": {"bsonType": "object", "additionalProperties": STRING},
        "status": _one_of(order.Status),
        "charges": {"bsonType": "array", "items": _CHARGE},
        "refunds": {"bsonType": "array", "items": _REFUND},
        "cancelled_at": DATE_OR_NULL,
        "reviews": {"bsonType": "array", "items": _REVIEW},
        "history": {"bsonType": "array", "minItems": 1},
        "version": VERSION,
        "created_at": DATE,
        "updated_at": DATE,
    },
    # When reconciliation asks the provider about this order next; null while there is nothing to ask.
    {
        "reconcile_at": DATE_OR_NULL,
        "reconcile_attempts": COUNT,
        "charge_voided": {"bsonType": "bool"},
        "asks_left": COUNT,
        "trace": TEXT_OR_NULL,
    },
)
IDEMPOTENCY_KEYS = _object(
    {
        "_id": STRING,
        "endpoint": STRING,
        "fingerprint": STRING,
        "status": COUNT,
        "body": STRING,
        "location": STRING,
        "resource_id": STRING,
        "created_at": DATE,
        "expires_at": DATE,
    }
)
OUTBOX = _object(
    {
        "_id": {"bsonType": "string", "pattern": "^obx_[0-9a-f]{32}$"},
        "merchant": STRING,
        "kind": _one_of(outbox.Kind),
        "order_id": STRING,
        "path": STRING,
        "body": STRING,
        "state": _one_of(outbox.State),
        "attempts": COUNT,
        "next_attempt_at": DATE,
        "fence": VERSION,
        "created_at": DATE,
        "updated_at": DATE,
    },
    {
        "refund_id": TEXT_OR_NULL,
        # The fence under which a dispatcher last settled it or gave it back: equal to `fence` then, or the write was stale.
        "settled_fence": {"bsonType": ["long", "null"], "minimum": 0},
        "redriven_at": DATE_OR_NULL,
        "redrives": COUNT,
        "lease_until": DATE_OR_NULL,
        "first_attempt_at": DATE_OR_NULL,
        "trace": TEXT_OR_NULL,
    },
)
PAYMENT_EVENTS = _object(
    {
        "_id": STRING,
        "type": STRING,
        "outcome": _one_of(event.Outcome),
        "source": _one_of(event.Source),
        "raw": STRING,
        "received_at": DATE,
        "times_received": COUNT,
    },
    {"order_id": TEXT_OR_NULL, "charge_id": TEXT_OR_NULL, "reconcile_at": DATE_OR_NULL, "trace": TEXT_OR_NULL},
)

_NEWEST_FIRST = ("_id", DESCENDING)  # ids sort by creation time


def _only(**condition: Any) -> dict[str, Any]:
    return {"partialFilterExpression": condition}


async def ensure_schema(database: Database) -> None:
    """Raises PyMongoError if the database stays away."""
    await ensure_collection(
        database,
        "orders",
        schema=ORDERS,
        indexes=[
            IndexModel([("merchant", ASCENDING), ("order_number", ASCENDING)], unique=True),
            IndexModel([("merchant", ASCENDING), _NEWEST_FIRST]),
            IndexModel([("merchant", ASCENDING), ("status", ASCENDING), _NEWEST_FIRST]),
            IndexModel(
                [("merchant", ASCENDING), ("reviews.code", ASCENDING), _NEWEST_FIRST],
                **_only(**{"reviews.code": {"$exists": True}}),
            ),
            IndexModel([("reconcile_at", ASCENDING)], **_only(reconcile_at={"$type": "date"})),
            # What /metrics counts: small, because nothing stays in them.
            IndexModel([("status", ASCENDING), ("created_at", ASCENDING)], **_only(status="Pending")),
            IndexModel([("reviews.resolved_at", ASCENDING)], **_only(**{"reviews.resolved_at": {"$type": "null"}})),
        ],
    )
    await ensure_collection(
        database,
        "idempotency_keys",
        schema=IDEMPOTENCY_KEYS,
        indexes=[IndexModel([("expires_at", ASCENDING)], expireAfterSeconds=0)],
    )
    await ensure_collection(
        database,
        "outbox",
        schema=OUTBOX,
        indexes=[
            IndexModel([("state", ASCENDING), ("next_attempt_at", ASCENDING)]),
            IndexModel([("order_id", ASCENDING)]),
            # Of one state or of several: MongoDB reads one range a state and merges them in order.
            IndexModel([("merchant", ASCENDING), ("state", ASCENDING), ("created_at", DESCENDING), _NEWEST_FIRST]),
        ],
    )
    await ensure_collection(
        database,
        "payment_events",
        schema=PAYMENT_EVENTS,
        indexes=[
            IndexModel([("order_id", ASCENDING), ("received_at", DESCENDING), _NEWEST_FIRST]),
            IndexModel([("reconcile_at", ASCENDING)], **_only(reconcile_at={"$type": "date"})),
        ],
    )
