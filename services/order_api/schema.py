"""The collections of order_api: validators and indexes, made at every start, by several replicas at once if need be.

The validators are the last line of defence against our own mistakes, and documentation for whoever opens mongosh.
"""

from typing import Any, get_args

from pymongo import DESCENDING, IndexModel

from order_api import calls, event, order
from shared.mongo import Database, UnusableDatabaseError, ensure_collection


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

_KEY = _object(
    {
        "value": STRING,
        "endpoint": STRING,
        "fingerprint": STRING,
        "status": COUNT,
        "body": STRING,
        "location": STRING,
        "expires_at": DATE,
        "of": STRING,
    }
)
_CALL = _object(
    {
        "id": {"bsonType": "string", "pattern": "^obx_[0-9a-f]{32}$"},
        "kind": _one_of(calls.Kind),
        "reference": STRING,
        "path": STRING,
        "body": STRING,
        "state": _one_of(calls.State),
        "attempts": COUNT,
        "due_at": DATE_OR_NULL,
        "claim": TEXT_OR_NULL,
        "created_at": DATE,
        "updated_at": DATE,
    },
    {
        "refund_id": TEXT_OR_NULL,
        # The claim under which it was last settled or given back: equal to `claim` until then, or the write was late.
        "settled_claim": TEXT_OR_NULL,
        "first_attempt_at": DATE_OR_NULL,
        "redriven_at": DATE_OR_NULL,
        "redrives": COUNT,
        "tries": {"bsonType": "array", "maxItems": calls.TRIES_KEPT},
    },
)

ORDERS = _object(
    {
        "_id": {"bsonType": "string", "pattern": "^ord_[0-9a-f]{32}$"},
        "merchant": STRING,
        "order_number": STRING,
        "amount_minor": AMOUNT,
        "currency": {"bsonType": "string", "pattern": "^[A-Z]{3}$"},
        "exponent": COUNT,
        "payment_method": STRING,
        "metadata": {"bsonType": "object", "additionalProperties": STRING},
        "status": _one_of(order.Status),
        "charges": {"bsonType": "array", "items": _CHARGE},
        "refunds": {"bsonType": "array", "items": _REFUND},
        "cancelled_at": DATE_OR_NULL,
        "reviews": {"bsonType": "array", "items": _REVIEW},
        "history": {"bsonType": "array", "minItems": 1},
        "keys": {"bsonType": "array", "items": _KEY},
        "calls": {"bsonType": "array", "items": _CALL, "minItems": 1},
        "version": VERSION,
        "created_at": DATE,
        "updated_at": DATE,
    },
    # When reconciliation asks the provider about this order next; null while there is nothing to ask.
    {
        "reconcile_at": DATE_OR_NULL,
        "reconcile_attempts": COUNT,
        # The least `due_at` of the calls that are open, by which claims find an order; null while none is.
        "due_at": DATE_OR_NULL,
        "cancelled_by": TEXT_OR_NULL,
        "disputes": {"bsonType": "array"},
        "asks_left": COUNT,
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
        "version": VERSION,
    },
    {"order_id": TEXT_OR_NULL, "charge_id": TEXT_OR_NULL, "reconcile_at": DATE_OR_NULL, "trace": TEXT_OR_NULL},
)

_NEWEST_FIRST = ("_id", DESCENDING)  # ids sort by creation time


def _only(**condition: Any) -> dict[str, Any]:
    return {"partialFilterExpression": condition}


async def refuse_old_layout(database: Database) -> None:
    """Raises UnusableDatabaseError where keys and messages are still documents of their own. Raises PyMongoError."""
    for name in ("outbox", "idempotency_keys"):
        if await database[name].find_one({}, {"_id": 1}) is not None:
            raise UnusableDatabaseError(
                f"the database {database.name} is of an older version, its collection {name} has documents: let that "
                "version finish, then name another database in ORDER_API_DATABASE or drop this one"
            )


async def ensure_schema(database: Database) -> None:
    """Raises PyMongoError if the database stays away."""
    await ensure_collection(
        database,
        "orders",
        schema=ORDERS,
        indexes=[
            IndexModel(["merchant", "order_number"], unique=True),
            # One name space of keys a merchant, whatever was made or changed under them. C5
            IndexModel(["merchant", "keys.value"], unique=True, **_only(**{"keys.value": {"$exists": True}})),
            IndexModel(["due_at"], **_only(due_at={"$type": "date"})),
            IndexModel(["merchant", _NEWEST_FIRST], name="dead_calls", **_only(**{"calls.state": "dead"})),
            IndexModel(["merchant", "calls.id"], **_only(**{"calls.1": {"$exists": True}})),
            IndexModel(["merchant", _NEWEST_FIRST]),
            IndexModel(["merchant", "status", _NEWEST_FIRST]),
            IndexModel(["merchant", "reviews.code", _NEWEST_FIRST], **_only(**{"reviews.code": {"$exists": True}})),
            IndexModel(["reconcile_at"], **_only(reconcile_at={"$type": "date"})),
            # What /metrics counts: small, because nothing stays in them.
            IndexModel(["status", "created_at"], **_only(status="Pending")),
            IndexModel(["reviews.resolved_at"], **_only(**{"reviews.resolved_at": {"$type": "null"}})),
        ],
    )
    await ensure_collection(
        database,
        "payment_events",
        schema=PAYMENT_EVENTS,
        indexes=[
            IndexModel(["order_id", ("received_at", DESCENDING), _NEWEST_FIRST]),
            IndexModel(["reconcile_at"], **_only(reconcile_at={"$type": "date"})),
        ],
    )
