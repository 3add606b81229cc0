"""A charge with its refunds and disputes: how each of them ends, and how much may be given back. Pure."""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from itertools import chain
from typing import TypeAlias, TypeVar

import msgspec
from msgspec.structs import replace

from payment_gateway.faults.scenario import Scenario, settle_delay
from payment_gateway.money.dispute import Dispute, opened
from payment_gateway.webhooks.event import Mark, without
from shared import wire
from shared.documents import Verdict
from shared.idempotency import Answer, Key, KeyReused, entry_of, live
from shared.ids import derive_id, new_id
from shared.not_found import NotFound

REFUNDS_MAX = 500  # C25: they are in the document of their charge

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
    is not announced yet. Until `hand_until`, in real time, the process that settled it announces it itself.

    `due_at` is never later than the first thing that is pending, waiting or marked, and null exactly if there is none.
    Settling leaves it, so a charge that was settled and not announced is found again. C23: a charge is announced.
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
    disputes: tuple[Dispute, ...] = ()
    announce: tuple[Mark, ...] = ()
    due_at: datetime | None
    hand_until: datetime | None = None
    version: int = 0

    @property
    def amount_refunded(self) -> int:
        """The amount that refunds have reserved or given back. A failed refund frees its amount."""
        return sum(refund.amount for refund in self.refunds if refund.status != "failed")

    @property
    def left(self) -> int:
        """The amount that may still be refunded or disputed; a won dispute frees its own. C25: never more than was taken."""
        return self.amount - self.amount_refunded - sum(dispute.amount_taken for dispute in self.disputes)


Part: TypeAlias = Charge | Refund | Dispute


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


class NotRefundable(msgspec.Struct, frozen=True):
    """The charge has not succeeded."""

    status: wire.MoneyState


class TooManyRefunds(msgspec.Struct, frozen=True):
    """The charge already has REFUNDS_MAX."""


class ExceedsCharge(msgspec.Struct, frozen=True):
    """The amount is more than `left`, in minor units."""

    left: int


Refusal = NotFound | NotRefundable | TooManyRefunds | ExceedsCharge


def refund(
    charge: Charge | None, asked: Refund, key: Key, now: datetime | None
) -> Verdict[Charge, Answer | KeyReused | Refusal]:
    """Adds a refund with its key, if so much is left. `now` is the server's time of the read. C25: never more than taken."""
    if charge is None or now is None:  # a reset took it
        return Verdict(NotFound("charge"))
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
    """Why that amount cannot be refunded, or None."""
    if charge.status != "succeeded":
        return NotRefundable(charge.status)
    if len(charge.refunds) >= REFUNDS_MAX:
        return TooManyRefunds()
    return ExceedsCharge(charge.left) if amount > charge.left else None


def part(charge: Charge, object_id: str) -> Part | None:
    """The charge itself, or its refund or dispute with that id."""
    return next((one for one in _parts(charge) if one.id == object_id), None)


def due(charge: Charge, now: datetime) -> list[Part]:
    """The parts that end or open by `now`."""
    return [one for one in _parts(charge) if (at := settles_at(one)) is not None and at <= now]


def settles_at(part: Part) -> datetime | None:
    """When the part ends or opens by itself; None if it has."""
    if isinstance(part, Dispute):
        return part.opens_at if part.status == "waiting" else None
    return part.settles_at if part.status == "pending" else None


def _parts(charge: Charge) -> Iterator[Part]:
    return chain((charge,), charge.refunds, charge.disputes)


def ended(pending: Ending, *, now: datetime) -> Ending:
    """The charge or refund after its end."""
    if pending.status != "pending":
        raise AssertionError(f"settled twice: {pending.id}")
    code = pending.scenario.failure_code
    return replace(pending, status="failed" if code else "succeeded", failure_code=code, settled_at=now)


def with_settled(charge: Charge, object_id: str, *, now: datetime, delay: timedelta) -> Charge:
    """The charge with that part ended, or that dispute opened. If it is to be disputed, its dispute opens `delay` after it
    has succeeded. C23: the dispute's id follows from the charge's, so two gateways make the same one.
    """
    if object_id == charge.id:
        after = ended(charge, now=now)
        waiting = Dispute(id=derive_id("dp", charge.id), amount=charge.amount, opens_at=now + delay)
        return replace(after, disputes=(waiting,)) if charge.scenario.disputed else after
    refunds = tuple(ended(one, now=now) if one.id == object_id else one for one in charge.refunds)
    disputes = (opened(one, charge.left, now=now) if one.id == object_id else one for one in charge.disputes)
    return replace(charge, refunds=refunds, disputes=tuple(filter(None, disputes)))


def announced(charge: Charge, ids: Collection[str]) -> Charge:
    """The charge after these of its marks have been announced. It stays due while others are left."""
    if left := without(charge.announce, ids):
        return replace(charge, announce=left)
    pending = filter(None, map(settles_at, _parts(charge)))
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


def dispute_on_the_wire(charge: Charge, dispute: Dispute) -> wire.Dispute:
    """The dispute for merchants, who never see one that waits."""
    assert dispute.status != "waiting"
    assert dispute.created_at is not None
    return wire.Dispute(
        id=dispute.id,
        charge_id=charge.id,
        charge_reference=charge.reference,
        amount=dispute.amount,
        currency=charge.currency,
        reason=dispute.reason,
        status=dispute.status,
        created_at=dispute.created_at,
        closed_at=dispute.closed_at,
    )
