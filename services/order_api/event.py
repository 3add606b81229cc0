"""What the provider says, and what it means for an order. Pure.

An event is `received` until its outcome is known. `applied` and `ignored` are final. `unmatched` and `mismatch` are judged
again when the event comes again. C19
"""

import hashlib
from datetime import datetime
from typing import Literal

import msgspec
from msgspec.structs import replace

from order_api.calls import PERMANENT_REFUSALS
from order_api.order import Charge, Order, Refund
from shared import wire
from shared.times import stored

Outcome = Literal["received", "applied", "duplicate", "ignored", "mismatch", "unmatched"]
Source = Literal["webhook", "reconcile"]
FINAL = frozenset({"applied", "ignored"})

_EndState = Literal["succeeded", "failed"]
_CHARGE_STATES: dict[str, _EndState] = {"payment.succeeded": "succeeded", "payment.failed": "failed"}
_REFUND_STATES: dict[str, _EndState] = {"refund.succeeded": "succeeded", "refund.failed": "failed"}


class NotAnEventError(Exception):
    """Authentic, but not an event: it has nothing that it could be stored under."""


class ReceivedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An authentic event. `subject` is None for an unknown type, or where `problem` says why it does not decode."""

    id: str
    type: str
    raw: str
    source: Source
    received_at: datetime
    timestamp: datetime
    subject: wire.Charge | wire.Refund | None = None
    problem: str | None = None
    order_id: str | None = None
    charge_id: str | None = None
    trace: str | None = None


class StoredEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event as stored, with the exact bytes that came. `reconcile_at` is when it is looked at again, None once its
    outcome is final.
    """

    id: str = msgspec.field(name="_id")
    type: str
    order_id: str | None = None
    charge_id: str | None = None
    outcome: Outcome
    detail: str | None = None
    source: Source
    raw: str
    trace: str | None = None
    signed_at: datetime | None = None
    secret: Literal["current", "previous"] | None = None
    received_at: datetime
    times_received: int = 1
    reconcile_at: datetime | None = None
    reconcile_attempts: int = 0
    version: int = 1


class _Reference(msgspec.Struct, rename="camel"):
    """All that is read of data that does not decode: which order a person must look at."""

    reference: str | None = None
    charge_reference: str | None = None


class Judgement(msgspec.Struct, frozen=True):
    """`fact` is what the order learns; `detail` why it learns nothing."""

    outcome: Outcome
    detail: str | None = None
    fact: Charge | Refund | None = None


def parse_event(raw: bytes, *, source: Source, now: datetime, trace: str | None = None) -> ReceivedEvent:
    """Raises NotAnEventError. The envelope is decoded first, so that an event of an unknown type is still an event."""
    try:
        text = raw.decode()
        envelope = msgspec.json.decode(raw, type=wire.EventEnvelope)
        timestamp = stored(envelope.timestamp)
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise NotAnEventError(str(error)) from None
    event = ReceivedEvent(
        id=envelope.id, type=envelope.type, raw=text, source=source, received_at=now, timestamp=timestamp, trace=trace
    )
    try:
        if envelope.type in _CHARGE_STATES:
            charge = msgspec.json.decode(envelope.data, type=wire.Charge)
            return replace(event, subject=charge, order_id=charge.reference, charge_id=charge.id)
        if envelope.type in _REFUND_STATES:
            refund = msgspec.json.decode(envelope.data, type=wire.Refund)
            return replace(event, subject=refund, order_id=refund.charge_reference, charge_id=refund.charge_id)
    except (UnicodeDecodeError, msgspec.MsgspecError, RecursionError) as error:
        return replace(event, problem=str(error), order_id=_order_named_in(envelope.data))
    return event


def _order_named_in(data: msgspec.Raw) -> str | None:
    try:
        named = msgspec.json.decode(data, type=_Reference)
    except (UnicodeDecodeError, msgspec.MsgspecError, RecursionError):
        return None
    return named.charge_reference or named.reference


def judge(event: ReceivedEvent, order: Order | None) -> Judgement:
    """What `event` means for the order that it names. The order's present status plays no part. C19"""
    if event.problem is not None:
        return Judgement("mismatch", event.problem)
    if event.subject is None:
        return Judgement("ignored", "unknown type")
    if order is None:
        return Judgement("unmatched", "no such order")
    if isinstance(event.subject, wire.Charge):
        return _judge_charge(event, event.subject, order)
    return _judge_refund(event, event.subject, order)


def altered_id(event_id: str, raw: str) -> str:
    """What another body under an event's id is kept as. C20"""
    return f"{event_id}~{hashlib.sha256(raw.encode()).hexdigest()[:16]}"


def _judge_charge(event: ReceivedEvent, charge: wire.Charge, order: Order) -> Judgement:
    state = _CHARGE_STATES[event.type]
    if (charge.amount, charge.currency) != (order.amount_minor, order.currency):
        detail = f"{charge.amount} {charge.currency} for an order of {order.amount_minor} {order.currency}"
        return Judgement("mismatch", detail)
    if charge.status != state:
        return Judgement("mismatch", f"{event.type} about a charge that is {charge.status}")
    code, at = charge.failure_code, event.timestamp
    fact = Charge(id=charge.id, state=state, amount_minor=charge.amount, failure_code=code, at=at)
    return Judgement("applied", fact=fact)


def _judge_refund(event: ReceivedEvent, refund: wire.Refund, order: Order) -> Judgement:
    asked = next((one for one in order.refunds if one.id == refund.reference), None)
    if asked is None:
        return Judgement("unmatched", "no such refund")
    state = _REFUND_STATES[event.type]
    told = (refund.charge_id, refund.amount, refund.currency)
    if told != (asked.charge_id, asked.amount_minor, order.currency):
        return Judgement("mismatch", f"a refund of {refund.amount} {refund.currency} of {refund.charge_id}")
    if refund.status != state:
        return Judgement("mismatch", f"{event.type} about a refund that is {refund.status}")
    if state == "succeeded" and asked.failure_code in PERMANENT_REFUSALS:  # its amount may be asked for again by now
        return Judgement("mismatch", f"{event.type} about a refund that was refused with {asked.failure_code}")
    fact = replace(asked, state=state, failure_code=refund.failure_code, at=event.timestamp)
    return Judgement("applied", fact=fact)
