"""What a charge is with all its refunds, how each of them ends, and what may be given back. Pure."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from payment_gateway.faults.scenario import Scenario, settle_delay
from payment_gateway.webhooks.event import Mark, without
from shared import wire
from shared.documents import Verdict
from shared.idempotency import Answer, Key, KeyReused, entry_of, live
from shared.ids import new_id

REFUNDS_MAX = 500  # they are in the document of their charge. C25

Ending = TypeVar("Ending", "Charge", "Refund")


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """A refund as stored in its charge, in minor units of the charge's currency. `settles_at` is when it ends."""

    id: str
    reference: str
    amount: int
    status: wire.MoneyState = "pending"
    failure_code: str | None = None
    scenario: Scenario = Scenario()
    created_at: datetime
    settles_at: datetime
    settled_at: datetime | None = None
    trace: str | None = None


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """A charge as stored, amounts in minor units. `scenario` says how it ends and what goes wrong with it, and `settles_at`
    when it ends. `keys` are those of the requests that made it and its refunds. `announce` has a mark for each event that
    is not announced yet; `hand_until` is real time, until when whoever settled it will announce it.

    `due_at` is null exactly when nothing is pending and there is no mark, and never later than the first that is pending.
    Settling leaves it, so that a charge which was settled and not announced is found again. C23
    """

    id: str = msgspec.field(name="_id")
    merchant: str
    amount: int
    currency: str
    reference: str
    payment_method: str
    metadata: dict[str, str] = {}
    scenario: Scenario = Scenario()
    status: wire.MoneyState = "pending"
    failure_code: str | None = None
    created_at: datetime
    settles_at: datetime
    settled_at: datetime | None = None
    trace: str | None = None
    keys: tuple[Key, ...] = ()
    refunds: tuple[Refund, ...] = ()
    disputes: tuple[dict[str, Any], ...] = ()
    announce: tuple[Mark, ...] = ()
    due_at: datetime | None
    hand_until: datetime | None = None
    version: int = 0

    @property
    def amount_refunded(self) -> int:
        """What refunds have reserved or given back. One that has failed gives it free again."""
        return sum(refund.amount for refund in self.refunds if refund.status != "failed")


def new_charge(
    merchant: str,
    asked: wire.ChargeRequest,
    scenario: Scenario,
    *,
    now: datetime,
    delay: timedelta,
    trace: str | None = None,
) -> Charge:
    """A pending charge that settles after `delay`, unless its scenario says otherwise."""
    settles_at = now + settle_delay(scenario, usual=delay)
    return Charge(
        **{**msgspec.structs.asdict(asked), "scenario": scenario},
        id=new_id("ch"),
        merchant=merchant,
        created_at=now,
        settles_at=settles_at,
        due_at=settles_at,
        trace=trace,
    )


def new_refund(
    asked: wire.RefundRequest, scenario: Scenario, *, now: datetime, delay: timedelta, trace: str | None = None
) -> Refund:
    """A pending refund that settles after `delay`, unless its scenario says otherwise."""
    return Refund(
        id=new_id("re"),
        reference=asked.reference,
        amount=asked.amount,
        scenario=scenario,
        created_at=now,
        settles_at=now + settle_delay(scenario, usual=delay),
        trace=trace,
    )


class NoSuchCharge(msgspec.Struct, frozen=True):
    pass


class NotRefundable(msgspec.Struct, frozen=True):
    """The charge has not succeeded."""

    status: wire.MoneyState


class TooManyRefunds(msgspec.Struct, frozen=True):
    """The charge has REFUNDS_MAX already."""


class ExceedsCharge(msgspec.Struct, frozen=True):
    """More than `left`, in minor units."""

    left: int


Refusal = NoSuchCharge | NotRefundable | TooManyRefunds | ExceedsCharge


def refund(
    charge: Charge | None, asked: Refund, key: Key, now: datetime | None
) -> Verdict[Charge, Answer | KeyReused | Refusal]:
    """Adds a refund, with its key, if the charge still has as much. `now` is the server's time of the read. C25"""
    if charge is None or now is None:  # a reset took it
        return Verdict(NoSuchCharge())
    if any(one.id == asked.id for one in charge.refunds):  # our own effect
        return Verdict(key.answer, found=True)
    keys = live(charge.keys, now)
    if known := entry_of(keys, key.value):
        return Verdict(known.replayed_for(key), found=True)
    if refused := why_not(charge, asked.amount):
        return Verdict(refused)
    due_at = min(charge.due_at or asked.settles_at, asked.settles_at)
    return Verdict(key.answer, replace(charge, refunds=(*charge.refunds, asked), keys=(*keys, key), due_at=due_at))


def why_not(charge: Charge, amount: int) -> Refusal | None:
    """Why that much cannot be refunded."""
    if charge.status != "succeeded":
        return NotRefundable(charge.status)
    if len(charge.refunds) >= REFUNDS_MAX:
        return TooManyRefunds()
    left = charge.amount - charge.amount_refunded
    return ExceedsCharge(left) if amount > left else None


def part(charge: Charge, object_id: str) -> Charge | Refund | None:
    """The charge itself, or that refund of it."""
    if charge.id == object_id:
        return charge
    return next((one for one in charge.refunds if one.id == object_id), None)


def due(charge: Charge, now: datetime) -> list[Charge | Refund]:
    """What ends by `now`: the charge, refunds of it, or both."""
    parts: list[Charge | Refund] = [charge, *charge.refunds]
    return [one for one in parts if one.status == "pending" and one.settles_at <= now]


def ended(pending: Ending, *, now: datetime) -> Ending:
    """The charge or refund as it ends."""
    if pending.status != "pending":
        raise AssertionError(f"settled twice: {pending.id}")
    code = pending.scenario.failure_code
    return replace(pending, status="failed" if code else "succeeded", failure_code=code, settled_at=now)


def with_ended(charge: Charge, object_id: str, *, now: datetime) -> Charge:
    """The charge with that part of it ended."""
    if object_id == charge.id:
        return ended(charge, now=now)
    refunds = tuple(ended(one, now=now) if one.id == object_id else one for one in charge.refunds)
    return replace(charge, refunds=refunds)


def announced(charge: Charge, ids: Collection[str]) -> Charge:
    """The charge when these of its marks have been announced. It is due while there are others."""
    if left := without(charge.announce, ids):
        return replace(charge, announce=left)
    parts: list[Charge | Refund] = [charge, *charge.refunds]
    pending = [one.settles_at for one in parts if one.status == "pending"]
    return replace(charge, announce=(), due_at=min(pending, default=None), hand_until=None)


def on_the_wire(charge: Charge) -> wire.Charge:
    return msgspec.convert(charge, wire.Charge, from_attributes=True)


def refund_on_the_wire(charge: Charge, refund: Refund) -> wire.Refund:
    return wire.Refund(
        id=refund.id,
        charge_id=charge.id,
        charge_reference=charge.reference,
        reference=refund.reference,
        amount=refund.amount,
        currency=charge.currency,
        status=refund.status,
        failure_code=refund.failure_code,
        created_at=refund.created_at,
        settled_at=refund.settled_at,
    )
