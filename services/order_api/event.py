"""Events of the provider, and what they mean for an order. Pure.

An event is `received` until its outcome is known. `applied` is final, and so is `ignored` while its type is unknown.
`unmatched` and `mismatch` are judged again when the event comes again. C19
"""

import hashlib
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec.structs import replace

from order_api.facts import Charge, Dispute, Refund
from order_api.order import Order, order_of
from shared import wire
from shared.ids import derive_id
from shared.signing import Signed
from shared.strict_json import has_lone_surrogate, parse_json
from shared.times import stored

Outcome = Literal["received", "applied", "duplicate", "ignored", "mismatch", "unmatched"]
Source = Literal["webhook", "reconcile"]
Kind: TypeAlias = Literal["charge", "refund", "dispute"]

# For each known type of event: the kind of its object, and the states that the object can then be in.
_KNOWN_TYPES: dict[str, tuple[Kind, frozenset[str]]] = {
    "payment.succeeded": ("charge", frozenset({"succeeded"})),
    "payment.failed": ("charge", frozenset({"failed"})),
    "refund.succeeded": ("refund", frozenset({"succeeded"})),
    "refund.failed": ("refund", frozenset({"failed"})),
    "dispute.created": ("dispute", frozenset({"open"})),
    "dispute.closed": ("dispute", frozenset({"won", "lost"})),
}
TEXT_MAX = 255
_ID = re.compile(r"[A-Za-z0-9_-]{1,255}\Z")  # it goes into URLs
_CURRENCY = re.compile(r"[A-Z]{3}\Z")


class NotAnEventError(Exception):
    """The bytes are authentic, but no event: there is nothing that they could be stored under."""


class _OddMemberError(Exception):
    """A member that decides is missing or malformed. The message names it."""


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """The members of an event's object that decide what it means; all others are ignored. `reference` is that of the payment
    attempt, `own_reference` is our id of a refund. `at` is the provider's time: when a charge was settled, or when a refund
    or dispute was made.
    """

    kind: Kind
    id: str
    charge_id: str
    reference: str
    own_reference: str = ""
    amount_minor: int
    currency: str
    status: str
    text: str | None = None  # why a charge or refund failed, or what a dispute is for
    at: datetime


class ReceivedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An authentic event. `subject` is None for an unknown type, or where `problem` says which member is odd."""

    id: str
    type: str
    raw: str
    source: Source
    received_at: datetime
    timestamp: datetime
    subject: Subject | None = None
    problem: str | None = None
    order_id: str | None = None
    charge_id: str | None = None
    trace: str | None = None
    signed: Signed | None = None


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


class Judgement(msgspec.Struct, frozen=True):
    """`fact` is what the order learns. `detail` says why it learns nothing."""

    outcome: Outcome
    detail: str | None = None
    fact: Charge | Refund | Dispute | None = None


def parse_event(
    raw: bytes, *, source: Source, now: datetime, trace: str | None = None, signed: Signed | None = None
) -> ReceivedEvent:
    """Raises NotAnEventError. The envelope is decoded first, so that an event of an unknown type is still an event."""
    try:
        text = raw.decode()
        envelope = msgspec.convert(parse_json(text), wire.EventEnvelope)
        timestamp = stored(envelope.timestamp)
        envelope.type.encode()  # a lone surrogate there cannot be stored
        members = envelope.data if isinstance(envelope.data, dict) else {}
        is_odd = has_lone_surrogate(members, text)
    except (ValueError, msgspec.ValidationError) as error:
        raise NotAnEventError(str(error)) from None
    event = ReceivedEvent(
        id=envelope.id,
        type=envelope.type,
        raw=text,
        source=source,
        received_at=now,
        timestamp=timestamp,
        order_id=_order_named_in(members, "chargeReference", "reference"),
        trace=trace,
        signed=signed,
    )
    if envelope.type not in _KNOWN_TYPES:
        return event
    kind = _KNOWN_TYPES[envelope.type][0]
    try:
        if is_odd:
            raise _OddMemberError("data holds a lone surrogate, which is no character")
        subject = _subject(kind, members, timestamp)
    except _OddMemberError as error:
        named = _order_named_in(members, "reference" if kind == "charge" else "chargeReference")
        return replace(event, problem=str(error), order_id=named)
    return replace(event, subject=subject, order_id=order_of(subject.reference), charge_id=subject.charge_id)


def is_final(stored: StoredEvent) -> bool:
    """Whether the event's outcome can no longer change. An ignored event is judged once its type is known. C19"""
    return stored.outcome == "applied" or (stored.outcome == "ignored" and stored.type not in _KNOWN_TYPES)


def gives_way(stored: StoredEvent, event_type: str) -> bool:
    """Whether the stored event was ignored, and the event that comes now under its id has a known type."""
    return stored.outcome == "ignored" and event_type in _KNOWN_TYPES


def say_the_same(one: ReceivedEvent, other: ReceivedEvent) -> bool:
    """Whether two events of one id differ in nothing that decides: one may be the other, encoded anew. C20"""
    return one.problem is other.problem is None and _deciding(one) == _deciding(other)


def _deciding(event: ReceivedEvent) -> tuple[Any, ...]:
    return (event.type, event.order_id, event.subject and replace(event.subject, text=None))


def _order_named_in(members: dict[str, Any], *names: str) -> str | None:
    for name in names:
        if isinstance(named := members.get(name), str) and named:
            return order_of(named)[:TEXT_MAX].encode(errors="replace").decode()
    return None


def _subject(kind: Kind, members: dict[str, Any], timestamp: datetime) -> Subject:
    """Reads the members that decide, and no others. Raises _OddMemberError. C19"""

    def is_text(value: Any) -> bool:
        return isinstance(value, str) and 0 < len(value) <= TEXT_MAX

    def is_id(value: Any) -> bool:
        return isinstance(value, str) and _ID.match(value) is not None

    def is_currency(value: Any) -> bool:
        return isinstance(value, str) and _CURRENCY.match(value) is not None

    def is_amount(value: Any) -> bool:
        return type(value) is int and 0 < value < 2**63

    def read(name: str, fits: Callable[[Any], bool], must_be: str) -> Any:
        if name not in members:
            raise _OddMemberError(f"data.{name} is missing")
        if not fits(members[name]):
            raise _OddMemberError(f"data.{name} is not {must_be}")
        return members[name]

    is_charge = kind == "charge"
    own_id = read("id", is_id, "an id")
    text = members.get("reason" if kind == "dispute" else "failureCode")
    return Subject(
        kind=kind,
        id=own_id,
        charge_id=own_id if is_charge else read("chargeId", is_id, "an id"),
        reference=read("reference" if is_charge else "chargeReference", is_text, "a text of 1 to 255 characters"),
        own_reference=read("reference", is_text, "a text of 1 to 255 characters") if kind == "refund" else "",
        amount_minor=read("amount", is_amount, "a whole number of minor units, more than 0"),
        currency=read("currency", is_currency, "three capital letters"),
        status=read("status", is_text, "a text of 1 to 255 characters"),
        text=text[:TEXT_MAX] if isinstance(text, str) else None,
        at=_time_of(members.get("settledAt" if is_charge else "createdAt"), timestamp),
    )


def _time_of(value: Any, timestamp: datetime) -> datetime:
    """The time that the provider gives, or the event's own where that is missing or odd."""
    try:
        at = msgspec.convert(value, wire.Time, strict=True)
        return stored(at)
    except (ValueError, msgspec.ValidationError):
        return timestamp


def judge(event: ReceivedEvent, order: Order | None) -> Judgement:
    """Decides what `event` means for the order that it names. The order's present status plays no part. C19"""
    if event.problem is not None:
        return Judgement("mismatch", event.problem)
    if event.subject is None:
        return Judgement("ignored", "unknown type")
    if order is None:
        return Judgement("unmatched", "no such order")
    if detail := _what_is_wrong(event.type, event.subject, order):
        return Judgement("mismatch", detail)
    return Judgement("applied", fact=_fact(event, event.subject, order))


def _what_is_wrong(event_type: str, subject: Subject, order: Order) -> str | None:
    told = f"{subject.amount_minor} {subject.currency}"
    is_charge, asked = subject.kind == "charge", _asked(order, subject)
    if subject.currency != order.currency or (is_charge and subject.amount_minor != order.amount_minor):
        what = "an order" if is_charge else f"a {subject.kind}, in an order"
        return f"{told} for {what} of {order.amount_minor} {order.currency}"
    if asked and (subject.charge_id, subject.amount_minor) != (asked.charge_id, asked.amount_minor):
        return f"a refund of {told} of {subject.charge_id}"
    if subject.status not in _KNOWN_TYPES[event_type][1]:
        return f"{event_type} about a {subject.kind} that is {subject.status}"
    return None


def altered_id(event_id: str, raw: str) -> str:
    """The id under which other bytes are kept beside the event whose id they came with. C20"""
    return f"{event_id}~{hashlib.sha256(raw.encode()).hexdigest()[:16]}"


def _asked(order: Order, subject: Subject) -> Refund | None:
    """The refund of ours that the event is about. None if that was made by hand, or is no refund."""
    return next((one for one in order.refunds if one.id == subject.own_reference), None)


def _fact(event: ReceivedEvent, subject: Subject, order: Order) -> Charge | Refund | Dispute:
    state: Any = subject.status
    match subject.kind:
        case "charge":
            return Charge(
                id=subject.id,
                reference=subject.reference,
                state=state,
                amount_minor=subject.amount_minor,
                failure_code=subject.text,
                at=subject.at,
            )
        case "dispute":
            return Dispute(
                id=subject.id,
                charge_id=subject.charge_id,
                amount_minor=subject.amount_minor,
                state=state,
                reason=subject.text or "not said",
                at=subject.at,
            )
        case "refund":
            by_hand = Refund(
                id=derive_id("rf", subject.id),
                charge_id=subject.charge_id,
                amount_minor=subject.amount_minor,
                cause="provider",
                at=event.timestamp,
            )
            return replace(
                _asked(order, subject) or by_hand,
                state=state,
                failure_code=subject.text,
                provider_id=subject.id,
                made_at=subject.at,
                at=event.timestamp,
            )
