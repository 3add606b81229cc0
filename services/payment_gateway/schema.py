"""The collections of payment_gateway and their indexes, made at every start."""

from pymongo import ASCENDING, DESCENDING, IndexModel

from shared.mongo import Database, ensure_collection

# What is due, endpoint by endpoint: in one by time alone, a claim would walk through the backlog of whoever may have no more
# (110 ms for 100,000 deliveries; here 1 ms).
DUE_BY_ENDPOINT = [("endpoint_id", ASCENDING), ("next_attempt_at", ASCENDING)]
_NEWEST_FIRST = [("created_at", DESCENDING), ("_id", DESCENDING)]


async def ensure_schema(database: Database) -> None:
    """Raises PyMongoError if the database stays away."""
    settling = IndexModel([("due_at", ASCENDING)], partialFilterExpression={"status": "pending"})
    by_reference = IndexModel([("merchant", ASCENDING), ("reference", ASCENDING), *_NEWEST_FIRST])
    newest = IndexModel([("merchant", ASCENDING), *_NEWEST_FIRST])
    await ensure_collection(database, "charges", indexes=[settling, by_reference, newest])
    by_charge = IndexModel([("merchant", ASCENDING), ("charge_id", ASCENDING), *_NEWEST_FIRST])
    await ensure_collection(database, "refunds", indexes=[settling, by_reference, by_charge, newest])
    await ensure_collection(
        database,
        "events",
        indexes=[by_reference, newest],
    )
    await ensure_collection(database, "webhook_endpoints", indexes=[newest])
    await ensure_collection(
        database,
        "deliveries",
        indexes=[
            IndexModel([("next_attempt_at", ASCENDING)], partialFilterExpression={"state": "pending"}),
            IndexModel(DUE_BY_ENDPOINT, partialFilterExpression={"state": "pending"}),
            IndexModel([("merchant", ASCENDING), ("event_id", ASCENDING), *_NEWEST_FIRST]),
            IndexModel([("merchant", ASCENDING), ("endpoint_id", ASCENDING), *_NEWEST_FIRST]),
            newest,
        ],
    )
    expiring = IndexModel([("expires_at", ASCENDING)], expireAfterSeconds=0)
    await ensure_collection(database, "idempotency_keys", indexes=[expiring])
    await ensure_collection(database, "reply_attempts", indexes=[expiring])
