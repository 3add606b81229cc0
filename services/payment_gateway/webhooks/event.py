"""An event: something that happened to a charge, a refund or an endpoint. Its bytes are made once. Until it is announced, it
is a mark in the document that it is about. Pure. C23: an event is announced once.
"""

from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from typing import Literal, NamedTuple, get_args

import msgspec

from payment_gateway.faults.rates import WRONG_AMOUNT
from payment_gateway.faults.scenario import Scenario
from shared import wire
from shared.ids import derive_id


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """An event as stored. `raw` is sent and served byte for byte; `created_at` is when it was announced. An event of an
    endpoint has no `charge_id`.
    """

    id: str = msgspec.field(name="_id")
    merchant: str
    type: wire.EventType
    object_id: str
    charge_id: str | None = None
    reference: str
    raw: str
    trace: str | None = None
    fault: Literal["wrong_amount"] | None = None
    created_at: datetime


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """An event that is not announced yet. `id` and `raw` are those of the event, `object` is the id of the thing that it is
    about, and `at` is when it happened. `to` are the endpoints that wanted it when it was found due.
    """

    id: str
    object: str
    type: wire.EventType
    fault: Literal["wrong_amount"] | None = None
    raw: str
    trace: str | None = None
    at: datetime
    to: tuple[str, ...] = ()


class Told(NamedTuple):
    """The facts that an announcement adds to a mark; `scenario_of` gives the scenario of an object's id."""

    merchant: str
    reference: str
    charge_id: str | None
    scenario_of: Callable[[str], Scenario]


def event_id(object_id: str, kind: wire.EventType, fault: str | None = None) -> str:
    """The id of the one event of this type about this object. C23: it follows from both, so two gateways that settle one
    object make one event. The wrong event sorts before the true one, because both may be announced in one millisecond.
    """
    return derive_id("evt", object_id, kind, *([fault] if fault else []), place=0 if fault else 1)


def event_ids(object_id: str) -> list[str]:
    """The ids of all events that settling this charge or refund can make."""
    kinds: tuple[wire.EventType, ...] = get_args(wire.EventType)
    return [event_id(object_id, kind, fault) for kind in kinds for fault in (None, WRONG_AMOUNT)]


def mark_of(
    event: wire.Event, to: tuple[str, ...], *, trace: str | None, fault: Literal["wrong_amount"] | None = None
) -> Mark:
    """The mark for an event that goes to the endpoints `to`."""
    return Mark(
        id=event.id,
        object=event.data.id,
        type=event.type,
        fault=fault,
        raw=wire.encode(event).decode(),
        trace=trace,
        at=event.timestamp,
        to=to,
    )


def event_of(mark: Mark, told: Told, *, now: datetime) -> Event:
    """The event that a mark becomes when it is announced."""
    return Event(
        id=mark.id,
        merchant=told.merchant,
        type=mark.type,
        object_id=mark.object,
        charge_id=told.charge_id,
        reference=told.reference,
        raw=mark.raw,
        trace=mark.trace,
        fault=mark.fault,
        created_at=now,
    )


def without(marks: Iterable[Mark], ids: Collection[str]) -> tuple[Mark, ...]:
    """The marks that are left when those with `ids` have been announced."""
    return tuple(mark for mark in marks if mark.id not in ids)
