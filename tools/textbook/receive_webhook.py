"""The provider's webhooks: verified over the raw bytes, then stored together with what they change."""

import hashlib
import hmac
import time
from datetime import UTC, datetime
from typing import Literal

import msgspec
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError

from tools.textbook.database import Database

TOLERANCE_SECONDS = 300


class Charge(msgspec.Struct):
    id: str
    amount: int
    currency: str
    reference: str
    status: Literal["succeeded", "failed"]


class Event(msgspec.Struct):
    id: str
    type: str
    data: msgspec.Raw


def is_signed(header: str, body: bytes, secret: str) -> bool:
    """Whether `t=<unix seconds>,v1=<hex>` is the signature of the body, and not too old or too new."""
    parts = dict(part.split("=", 1) for part in header.split(",") if "=" in part)
    stamp = parts.get("t", "")
    if not (stamp.isascii() and stamp.isdigit()) or abs(time.time() - int(stamp)) > TOLERANCE_SECONDS:
        return False
    expected = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), parts.get("v1", "").encode())


async def receive_webhook(database: Database, body: bytes) -> str:
    """Records an event and returns its outcome. Raises msgspec.DecodeError if it is no event, and PyMongoError."""
    event = msgspec.json.decode(body, type=Event)
    if event.type not in {"payment.succeeded", "payment.failed"}:
        return "ignored"
    charge = msgspec.json.decode(event.data, type=Charge)
    paid = {"status": "Paid" if charge.status == "succeeded" else "Failed", "charge_id": charge.id}
    owed = {"_id": charge.reference, "amount_minor": charge.amount, "currency": charge.currency, "status": "Pending"}

    async def write(session: AsyncClientSession) -> None:
        received = {"_id": event.id, "order_id": charge.reference, "raw": body, "received_at": datetime.now(UTC)}
        await database.events.insert_one(received, session=session)
        await database.orders.update_one(owed, {"$set": paid}, session=session)

    try:
        await database.in_transaction(write)
    except DuplicateKeyError:
        return "duplicate"
    return "applied"
