"""What an order is: facts that only grow, and a status derived from them. Pure.

Nothing depends on the order in which facts arrive: `merge` is commutative, associative and idempotent. C1
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import chain
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Meta

from order_api.calls import Call, first_due
from shared.idempotency import Key
from shared.ids import derive_id

Status = Literal["Pending", "Paid", "Failed", "Cancelled", "PartiallyRefunded", "Refunded"]
ChargeState = Literal["pending", "failed", "succeeded"]
RefundState = Literal["requested", "succeeded", "failed"]
RefundCause = Literal["merchant", "cancelled", "duplicateCharge"]
DisputeState = Literal["open", "won", "lost"]
# An `extra_json_schema` is checked by the database when an order is written; reading it costs nothing more.
OrderId = Annotated[str, Meta(extra_json_schema={"pattern": "^ord_[0-9a-f]{32}$"})]
Currency = Annotated[str, Meta(extra_json_schema={"pattern": "^[A-Z]{3}$"})]
AmountMinor = Annotated[int, Meta(extra_json_schema={"minimum": 1})]
_NotEmpty = Meta(extra_json_schema={"minItems": 1})

AUTOMATIC_REFUNDS_MAX = 5  # of one charge; after that a person must look
ASKS_IN_DOUBT = 3  # answers of the provider, with growing pauses: a request that was on its way has arrived by then

_CHARGE_GROWTH: dict[ChargeState, int] = {"pending": 0, "failed": 1, "succeeded": 2}  # success beats failure
_REFUND_GROWTH: dict[RefundState, int] = {"requested": 0, "succeeded": 1, "failed": 2}  # failure beats success


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """A charge as far as we know it, by the provider's id."""

    id: str
    state: ChargeState
    amount_minor: AmountMinor
    failure_code: str | None = None
    at: datetime


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """A refund that we asked for, by our id. Until it fails it reserves its amount of the charge."""

    id: str
    charge_id: str
    amount_minor: AmountMinor
    state: RefundState = "requested"
    cause: RefundCause
    failure_code: str | None = None
    provider_id: str | None = None
    number: str | None = None
    made_at: datetime | None = None
    at: datetime


class Dispute(msgspec.Struct, frozen=True, kw_only=True):
    """A charge that the customer disputes at the bank, by the provider's id."""

    id: str
    charge_id: str
    amount_minor: AmountMinor
    state: DisputeState
    reason: str
    at: datetime


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """Something a person must look at. `event_id` names what raised it: an event, a charge, a refund or a message."""

    code: str
    event_id: str
    detail: str
    raised_at: datetime
    resolved_at: datetime | None = None
    decision: str | None = None


class Cancellation(msgspec.Struct, frozen=True):
    at: datetime


class StatusChange(msgspec.Struct, frozen=True):
    status: Status
    at: datetime
    cause: str


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order as stored, one document: its facts, the calls it asks of the provider, and the idempotency keys of what was
    asked of it. Arrays stand in order of arrival and mean sets. `version` counts its writes. `cancelled_by` is the request
    that cancelled it.

    `reconcile_at` is when the provider is asked about it next, None while there is nothing to ask; `asks_left` is how many
    more answers of the provider it takes to believe that the facts are complete. `due_at` follows from the calls.
    """

    id: OrderId = msgspec.field(name="_id")
    merchant: str
    order_number: str
    amount_minor: AmountMinor
    currency: Currency
    exponent: int
    payment_method: str
    metadata: dict[str, str] = {}
    status: Status = "Pending"
    charges: tuple[Charge, ...] = ()
    refunds: tuple[Refund, ...] = ()
    disputes: tuple[Dispute, ...] = ()
    cancelled_at: datetime | None = None
    cancelled_by: str | None = None
    reviews: tuple[Review, ...] = ()
    history: Annotated[tuple[StatusChange, ...], _NotEmpty] = ()
    keys: tuple[Key, ...] = ()
    calls: Annotated[tuple[Call, ...], _NotEmpty] = ()
    due_at: datetime | None = None
    reconcile_at: datetime | None = None
    reconcile_attempts: int = 0
    asks_left: int = 0
    version: int = 1
    trace: str | None = None
    created_at: datetime
    updated_at: datetime

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "due_at", first_due(self.calls))


Fact: TypeAlias = Charge | Refund | Review | Cancellation
_Keyed = TypeVar("_Keyed", Charge, Refund, Review)


def merge(order: Order, fact: Fact, *, now: datetime, cause: str) -> Order:
    """`order` knowing `fact` too. The same object if that is nothing new; `version` is left to whoever writes it.

    `cause` goes into the history if the status changes.
    """
    match fact:
        case Charge():
            grown = _changed(order, charges=_join(order.charges, fact))
        case Refund():
            grown = _changed(order, refunds=_join(order.refunds, fact))
        case Review():
            grown = _changed(order, reviews=_join(order.reviews, fact))
        case Cancellation(at):
            grown = _changed(order, cancelled_at=min(at, order.cancelled_at or at))
    for review in _reviews_due(grown):
        grown = _changed(grown, reviews=_join(grown.reviews, review))
    if grown is order:
        return order
    status = derive(grown)
    history = grown.history
    if status != order.status:
        history = (*history, StatusChange(status, now, cause))
    return msgspec.structs.replace(grown, status=status, history=history, updated_at=now)


def with_reviews_closed(order: Order, reviews: Iterable[Review], decision: str, *, at: datetime) -> Order:
    """The order when a person has decided so about these reviews."""
    for review in reviews:
        closed = msgspec.structs.replace(review, resolved_at=at, decision=decision)
        order = merge(order, closed, now=at, cause=review.code)
    return order


def derive(order: Order) -> Status:
    """The status that the facts amount to."""
    if order.cancelled_at is not None:
        return "Cancelled"
    kept = kept_charge(order)
    if kept is None:
        return "Failed" if any(charge.state == "failed" for charge in order.charges) else "Pending"
    refunded = refunded_minor(order)
    if refunded == 0:
        return "Paid"
    return "PartiallyRefunded" if refunded < kept.amount_minor else "Refunded"


def kept_charge(order: Order) -> Charge | None:
    """The succeeded charge with the smallest id, the earliest: the one the merchant keeps unless the order is cancelled."""
    return min(_succeeded(order), key=lambda charge: charge.id, default=None)


def refunded_minor(order: Order) -> int:
    """How much of the kept charge has been given back."""
    kept = kept_charge(order)
    return sum(
        refund.amount_minor
        for refund in order.refunds
        if kept is not None and refund.charge_id == kept.id and refund.state == "succeeded"
    )


def unreserved_minor(order: Order, charge: Charge) -> int:
    """How much of a charge no refund has taken or asked for."""
    reserved = sum(
        refund.amount_minor for refund in order.refunds if refund.charge_id == charge.id and refund.state != "failed"
    )
    return charge.amount_minor - reserved


def money_owed_back(order: Order, *, now: datetime) -> list[Refund]:
    """The refunds to ask for without being told to: of every succeeded charge that the merchant must not keep.

    Their ids derive from the charge's, so asking twice is asking once. One that failed is asked for anew under the next
    derived id, up to AUTOMATIC_REFUNDS_MAX; then only the review that its failure raised is left. C2
    """
    kept = kept_charge(order)
    owed = []
    for charge in _succeeded(order):
        if charge is kept and order.cancelled_at is None:
            continue
        cause: RefundCause = "cancelled" if order.cancelled_at is not None else "duplicateCharge"
        rest = unreserved_minor(order, charge)
        asked = sum(refund.charge_id == charge.id and refund.cause != "merchant" for refund in order.refunds)
        if rest > 0 and asked < AUTOMATIC_REFUNDS_MAX:
            refund_id = derive_id("rf", charge.id, "automatic", str(asked))
            owed.append(Refund(id=refund_id, charge_id=charge.id, amount_minor=rest, cause=cause, at=now))
    return owed


def has_open_question(order: Order) -> bool:
    """Whether money may have moved, or may yet move, without our knowing. Reconciliation asks until this is false. C22"""
    return order.asks_left > 0 or bool(open_questions(order))


def open_questions(order: Order) -> set[str]:
    """What the provider is asked about: the order if it knows of no charge, else charges and refunds, by their ids."""
    to_be_charged = any(call.kind == "charge" and call.state != "void" for call in order.calls)
    uncharged = {order.id} if not order.charges and to_be_charged else set[str]()
    charges = {charge.id for charge in order.charges if charge.state == "pending"}
    refunds = {refund.id for refund in order.refunds if refund.state == "requested"}
    return uncharged | charges | refunds


def in_doubt(order: Order) -> Order:
    """The order when its charge message has ended without an answer of its own: there may be a charge that nobody has told
    us of, so the provider is asked some more times, whatever the facts say. C22
    """
    return msgspec.structs.replace(order, asks_left=ASKS_IN_DOUBT)


def answered(order: Order, asks_left: int) -> Order:
    """The order when the provider, asked while `asks_left` were left, has told all it knows."""
    if order.asks_left == 0 or order.asks_left != asks_left:  # the doubt came up after the question was asked
        return order
    return msgspec.structs.replace(order, asks_left=asks_left - 1)


def scheduled(before: Order, after: Order, *, now: datetime, pause: timedelta) -> Order:
    """`after`, what `before` has become, with the time when the provider is asked about it: after `pause` if there is a new
    question, and an older one is not put off.
    """
    if not has_open_question(after):
        return msgspec.structs.replace(after, reconcile_at=None)
    soon = now + pause
    if after.asks_left > before.asks_left or not has_open_question(before):
        return msgspec.structs.replace(after, reconcile_at=soon, reconcile_attempts=0)
    if open_questions(after) - open_questions(before):
        return msgspec.structs.replace(after, reconcile_at=min(soon, after.reconcile_at or soon), reconcile_attempts=0)
    return after


def _reviews_due(order: Order) -> Iterable[Review]:
    """What the facts themselves give a person to look at. Times come from the facts, so that arrival does not matter."""
    kept = kept_charge(order)
    for charge in _succeeded(order):
        if charge is not kept:
            detail = "a second charge succeeded; it is refunded"
            yield Review(code="second-charge", event_id=charge.id, detail=detail, raised_at=charge.at)
    for refund in order.refunds:
        if refund.state == "failed":
            yield Review(code="refund-failed", event_id=refund.id, detail="a refund failed", raised_at=refund.at)


def _succeeded(order: Order) -> list[Charge]:
    return [charge for charge in order.charges if charge.state == "succeeded"]


def _changed(order: Order, **fields: Any) -> Order:
    """`order` with these fields, or `order` itself if they are what it has."""
    if all(getattr(order, name) == value for name, value in fields.items()):
        return order
    return msgspec.structs.replace(order, **fields)


def _join(known: tuple[_Keyed, ...], fact: _Keyed) -> tuple[_Keyed, ...]:
    """The least set of facts that includes both, one for each key, in order of arrival."""
    mine = _key(fact)
    if not any(_key(one) == mine for one in known):
        return tuple(chain(known, (fact,)))
    return tuple(max(one, fact, key=_growth) if _key(one) == mine else one for one in known)


def _key(fact: Charge | Refund | Review) -> tuple[str, str]:
    return (fact.code, fact.event_id) if isinstance(fact, Review) else (fact.id, "")


def _growth(fact: Charge | Refund | Review) -> tuple[Any, ...]:
    """Orders all versions of one fact totally, so the larger of two is the same whichever came first."""
    match fact:
        case Charge():
            code = _text_growth(fact.failure_code)
            return (_CHARGE_GROWTH[fact.state], -fact.at.timestamp(), fact.amount_minor, code)
        case Refund():
            code = _text_growth(fact.failure_code)
            rest = (fact.amount_minor, code, fact.charge_id, fact.cause)
            return (_REFUND_GROWTH[fact.state], -fact.at.timestamp(), *rest)
        case Review():
            resolved = -fact.resolved_at.timestamp() if fact.resolved_at else 0.0
            decision = _text_growth(fact.decision)
            return (fact.resolved_at is not None, resolved, decision, -fact.raised_at.timestamp(), fact.detail)


def _text_growth(text: str | None) -> tuple[bool, str]:
    return (text is not None, text or "")
