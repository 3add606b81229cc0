"""Placing an order: key, order and outbox row in one transaction."""

import hashlib
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError
from uuid_utils import uuid7

from tools.textbook.database import Database


class NewOrder(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    order_number: Annotated[str, Meta(min_length=1, max_length=64)]
    amount: Decimal
    currency: Annotated[str, Meta(pattern=r"\A[A-Z]{3}\Z")]
    payment_method: Annotated[str, Meta(max_length=255)] = "pm_card_visa"
    metadata: dict[str, str] = {}

    def __post_init__(self) -> None:
        if not self.amount.is_finite() or self.amount <= 0:
            raise ValueError("amount: must be more than 0")


class Answer(msgspec.Struct, frozen=True):
    status: int
    body: bytes


async def place_order(database: Database, key: str, new: NewOrder) -> Answer:
    """Stores the order, or answers as the first request with this key was answered. Raises PyMongoError."""
    now, order_id = datetime.now(UTC), f"ord_{uuid7().hex}"
    amount_minor = int(new.amount * 100)  # it takes only currencies with two decimals
    charge = {
        "amount": amount_minor,
        "currency": new.currency,
        "reference": order_id,
        "paymentMethod": new.payment_method,
    }
    fields = {"order_number": new.order_number, "currency": new.currency, "metadata": new.metadata}
    order = {"_id": order_id, **fields, "amount_minor": amount_minor, "status": "Pending", "created_at": now}
    shown = {"id": order_id, "status": "Pending", "createdAt": now, **msgspec.to_builtins(new, str_keys=True)}
    answer = Answer(201, msgspec.json.encode({**shown, "amount": float(new.amount)}))
    fingerprint = hashlib.sha256(msgspec.json.encode(new)).hexdigest()

    async def write(session: AsyncClientSession) -> None:
        known = {"_id": key, "fingerprint": fingerprint, "body": answer.body, "created_at": now}
        row = {"_id": f"charge_{order_id}", "request": charge, "state": "open", "due_at": now, "attempts": 0}
        await database.keys.insert_one(known, session=session)
        await database.orders.insert_one(order, session=session)
        await database.outbox.insert_one(row, session=session)

    try:
        await database.in_transaction(write)
    except DuplicateKeyError:
        known = await database.keys.find_one({"_id": key})
        if known is None:
            return Answer(409, b'{"title":"the order number is taken"}')
        if known["fingerprint"] != fingerprint:
            return Answer(422, b'{"title":"the key belongs to another request"}')
        return Answer(201, known["body"])
    return answer
