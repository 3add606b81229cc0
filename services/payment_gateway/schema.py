"""The collections of payment_gateway and their indexes, made at every start."""

from pymongo import ASCENDING, DESCENDING, IndexModel

from shared.documents.validator import validator
from shared.idempotency import Key
from shared.mongo import Database, UnusableDatabaseError, ensure_collection
from shared.privileges import require_privileges
from shared.watch import WRITER_INDEX

# Due deliveries by endpoint. By time alone, a claim would walk through the backlog of an endpoint that may have no more
# (110 ms for 100,000 deliveries; here 1 ms).
DUE_BY_ENDPOINT = [("endpoint_id", ASCENDING), ("next_attempt_at", ASCENDING)]
_NEWEST_FIRST = [("created_at", DESCENDING), ("_id", DESCENDING)]


def _where_there(*fields: str, unique: bool = False) -> IndexModel:
    """An index of only those documents that have the last of these fields."""
    return IndexModel([*fields], unique=unique, partialFilterExpression={fields[-1]: {"$exists": True}})


# A key without a value would be indexed as null, and a merchant's second such document would be refused for ever.
_HAS_KEYS = {"properties": {"keys": {"bsonType": "array", "items": validator(Key)}}}
# C5: one key is one thing. The index allows equal keys within one document; there the decision looks.
_KEY = _where_there("merchant", "keys.value", unique=True)
_DUE = IndexModel(["due_at"], partialFilterExpression={"due_at": {"$type": "date"}})


async def ensure_schema(database: Database, *, watched: bool = False) -> None:
    """Makes the schema; `watched` adds what a console needs. Raises UnusableDatabaseError if something stands in the way,
    and PyMongoError if the database stays away.
    """
    watching = [WRITER_INDEX] if watched else []
    by_reference = IndexModel(["merchant", "reference", *_NEWEST_FIRST])
    newest = IndexModel(["merchant", *_NEWEST_FIRST])
    await ensure_collection(  # C10: never a TTL index here
        database,
        "charges",
        indexes=[
            _KEY,
            _DUE,
            by_reference,
            newest,
            _where_there("refunds.id", unique=True),
            _where_there("disputes.id", unique=True),
            _where_there("merchant", "refunds.reference"),
            _where_there("merchant", "refunds.created_at"),
            _where_there("merchant", "disputes.created_at"),
            *watching,
        ],
        schema=_HAS_KEYS,
    )
    await ensure_collection(database, "events", indexes=[by_reference, newest])
    gone = IndexModel(["gone_at"], expireAfterSeconds=0)
    place = _where_there("merchant", "place", unique=True)
    expiring = IndexModel(["expires_at"], partialFilterExpression={"expires_at": {"$type": "date"}})
    of_endpoints = [_KEY, place, _DUE, newest, gone, expiring, *watching]
    await ensure_collection(database, "webhook_endpoints", indexes=of_endpoints, schema=_HAS_KEYS)
    await ensure_collection(
        database,
        "deliveries",
        indexes=[
            IndexModel(["next_attempt_at"], partialFilterExpression={"state": "pending"}),
            IndexModel(DUE_BY_ENDPOINT, partialFilterExpression={"state": "pending"}),
            IndexModel(["merchant", "event_id", *_NEWEST_FIRST]),
            IndexModel(["merchant", "endpoint_id", *_NEWEST_FIRST]),
            IndexModel(["endpoint_id"], partialFilterExpression={"hold": {"$exists": True}}),
            newest,
            *watching,
        ],
    )
    await ensure_collection(database, "resends", indexes=[IndexModel(["due_at"])])
    forgotten = IndexModel(["expires_at"], expireAfterSeconds=0)
    await ensure_collection(database, "reply_attempts", indexes=[forgotten])


async def prepare(database: Database, *, watched: bool = False) -> None:
    """Does all that a start needs of its database. Raises UnusableDatabaseError, which says what stands in the way, and
    PyMongoError.
    """
    await require_privileges(database)
    await refuse_old_layout(database)
    await ensure_schema(database, watched=watched)


async def refuse_old_layout(database: Database) -> None:
    """Raises UnusableDatabaseError if refunds and keys are documents of their own, as long ago. Raises PyMongoError."""
    first = await database["charges"].find_one({}, {"version": 1}, sort=[("_id", ASCENDING)])
    is_old = first is not None and "version" not in first
    for name in ("refunds", "idempotency_keys"):
        is_old = is_old or await database[name].find_one({}, {"_id": 1}) is not None
    if is_old:
        raise UnusableDatabaseError(
            f"the database {database.name} is of an earlier version, whose charges this one cannot read: name another in "
            "PAYMENT_GATEWAY_DATABASE, drop this one, or go on with the earlier version"
        )
