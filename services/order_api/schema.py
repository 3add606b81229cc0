"""The collections of order_api: validators and indexes, made at every start, by several replicas at once if need be.

The validators are the last line of defence against our own mistakes, and documentation for whoever opens mongosh.
"""

from typing import Any

from pymongo import DESCENDING, IndexModel

from order_api.event import StoredEvent
from order_api.order import Order
from order_api.reviews import OPEN_REVIEW
from shared.documents.validator import validator
from shared.mongo import Database, UnusableDatabaseError, ensure_collection
from shared.privileges import require_privileges
from shared.watch import WRITER_INDEX

# An order or event of before one of these fields was added may lack it.
_OF_ORDERS = {"asks_left", "cancelled_by", "disputes", "reconcile_at", "reconcile_attempts", "trace"}
ORDERS = validator(Order, may_lack={*_OF_ORDERS, "charges.reference", "reviews.charge_id"})
PAYMENT_EVENTS = validator(StoredEvent, may_lack={"charge_id", "order_id", "reconcile_at", "trace"})
_NEWEST_FIRST = ("_id", DESCENDING)  # ids sort by creation time


def _only(**condition: Any) -> dict[str, Any]:
    return {"partialFilterExpression": condition}


async def prepare(database: Database, *, watched: bool = False) -> None:
    """All that a start needs of its database. Raises UnusableDatabaseError, which says what stands in the way, and
    PyMongoError.
    """
    await require_privileges(database)
    await refuse_old_layout(database)
    await ensure_schema(database, watched=watched)


async def refuse_old_layout(database: Database) -> None:
    """Raises UnusableDatabaseError if keys and calls are still documents of their own. Raises PyMongoError."""
    for name in ("outbox", "idempotency_keys"):
        if await database[name].find_one({}, {"_id": 1}) is not None:
            raise UnusableDatabaseError(
                f"the database {database.name} is of an older version, its collection {name} has documents: let that "
                "version finish, then name another database in ORDER_API_DATABASE or drop this one"
            )


async def ensure_schema(database: Database, *, watched: bool = False) -> None:
    """`watched`: with what a console needs. Raises UnusableDatabaseError if something stands in the way, PyMongoError if the
    database stays away.
    """
    await ensure_collection(
        database,
        "orders",
        schema=ORDERS,
        indexes=[
            IndexModel(["merchant", "order_number"], unique=True),
            # C5: a key is in one order of its merchant at most, whatever was made or changed under it.
            IndexModel(["merchant", "keys.value"], unique=True, **_only(**{"keys.value": {"$exists": True}})),
            IndexModel(["due_at"], **_only(due_at={"$type": "date"})),
            # Lists of what is open: an order at rest is in none of them.
            IndexModel(["merchant", _NEWEST_FIRST], name="open_calls", **_only(due_at={"$type": "date"})),
            IndexModel(["merchant", _NEWEST_FIRST], name="dead_calls", **_only(**{"calls.state": "dead"})),
            IndexModel(["merchant", _NEWEST_FIRST], name="open_reviews", **_only(**OPEN_REVIEW)),
            IndexModel(["merchant", "calls.id"], **_only(**{"calls.1": {"$exists": True}})),
            IndexModel(["merchant", _NEWEST_FIRST]),
            IndexModel(["merchant", "status", _NEWEST_FIRST]),
            IndexModel(["reconcile_at"], **_only(reconcile_at={"$type": "date"})),
            IndexModel(["status", "created_at"], **_only(status="Pending")),  # for /metrics
            *([WRITER_INDEX] if watched else []),
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
