"""Orders and what belongs to them as the API shows them. Amounts in decimal major units, as numbers."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from order_api.calls import Call, Kind
from order_api.event import Outcome, Source
from order_api.explanation import explain
from order_api.order import ChargeState, Order, Refund, RefundCause, RefundState, Status, refunded_minor
from shared.money import in_major
from shared.mongo import Document
from shared.times import rfc3339

MessageState = Literal["ready", "leased", "done", "dead", "void"]
MomentKind = Literal["placed", "call", "attempt", "charge", "event", "refund", "dispute", "review", "status"]
Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]


class _View(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class ChargeView(_View, frozen=True):
    """A charge, by the id that the provider gave it. `failureCode` says why it failed."""

    id: str
    state: ChargeState
    amount: Decimal
    failure_code: str | None
    at: Time


class RefundView(_View, frozen=True):
    """A refund of a charge, asked for by the merchant or made by itself."""

    id: str
    charge_id: str
    amount: Decimal
    state: RefundState
    cause: RefundCause
    failure_code: str | None
    at: Time


class ReviewView(_View, frozen=True):
    """Something that a person must look at. `eventId` names what raised it."""

    code: str
    detail: str
    event_id: str
    raised_at: Time
    resolved_at: Time | None
    decision: str | None


class StatusChangeView(_View, frozen=True):
    """A status that the order came to have, and why."""

    status: Status
    at: Time
    cause: str


class OrderView(_View, frozen=True):
    """An order. Its status follows from its charges and refunds."""

    id: str
    order_number: str
    amount: Decimal
    currency: str
    status: Status
    refunded_amount: Decimal
    payment_method: str
    metadata: dict[str, str]
    charges: list[ChargeView]
    refunds: list[RefundView]
    reviews: list[ReviewView]
    history: list[StatusChangeView]
    created_at: Time
    updated_at: Time


class EventView(_View, frozen=True):
    """One thing the provider said about an order. `raw` is the exact body; `outcome` what became of it."""

    id: str
    type: str
    outcome: Outcome
    detail: str | None
    source: Source
    charge_id: str | None
    raw: str
    received_at: Time
    times_received: int


class Moment(_View, frozen=True, omit_defaults=True):
    """One moment in the life of an order. `state` is what it came to: the outcome of an attempt or an event, the order's
    status, or the state of a call, charge, refund, dispute or review. `type` is what a call asks for or an event says; `ms`
    is how long an attempt took, from `at` on; `status` is the HTTP status that refused it.
    """

    at: Time
    kind: MomentKind
    id: str | None = None
    state: str | None = None
    type: str | None = None
    amount: Decimal | None = None
    ms: int | None = None
    status: int | None = None
    source: Source | None = None
    reason: str | None = None


class TimelineView(_View, frozen=True):
    """The life of an order, oldest first. A call shows its last ten attempts."""

    data: list[Moment]


class MessageView(_View, frozen=True):
    """A request to the provider. `explanation` says what became of it, whether money may have moved, and what a redrive of a
    dead one would do; `nextAttemptAt` is null when it is not sent again by itself.
    """

    id: str
    kind: Kind
    order_id: str
    refund_id: str | None
    state: MessageState
    attempts: int
    redrives: int
    last_error: str | None
    explanation: str
    created_at: Time
    first_attempt_at: Time | None
    next_attempt_at: Time | None
    redriven_at: Time | None
    updated_at: Time


def to_json(value: Any) -> bytes:
    return _ENCODER.encode(value)


def order_view(order: Order) -> OrderView:
    def major(minor: int) -> Decimal:
        return in_major(minor, order.exponent)

    return OrderView(
        id=order.id,
        order_number=order.order_number,
        amount=major(order.amount_minor),
        currency=order.currency,
        status=order.status,
        refunded_amount=major(refunded_minor(order)) if order.refunds else _ZERO,
        payment_method=order.payment_method,
        metadata=order.metadata,
        charges=[
            ChargeView(
                id=charge.id,
                state=charge.state,
                amount=major(charge.amount_minor),
                failure_code=charge.failure_code,
                at=rfc3339(charge.at),
            )
            for charge in sorted(order.charges, key=lambda charge: charge.id)
        ],
        refunds=[refund_view(one, order) for one in sorted(order.refunds, key=lambda refund: refund.id)],
        reviews=[
            ReviewView(
                code=review.code,
                detail=review.detail,
                event_id=review.event_id,
                raised_at=rfc3339(review.raised_at),
                resolved_at=rfc3339(review.resolved_at) if review.resolved_at else None,
                decision=review.decision,
            )
            for review in sorted(order.reviews, key=lambda review: (review.code, review.event_id))
        ],
        history=[StatusChangeView(status=one.status, at=rfc3339(one.at), cause=one.cause) for one in order.history],
        created_at=rfc3339(order.created_at),
        updated_at=rfc3339(order.updated_at),
    )


def refund_view(refund: Refund, order: Order) -> RefundView:
    return RefundView(
        id=refund.id,
        charge_id=refund.charge_id,
        amount=in_major(refund.amount_minor, order.exponent),
        state=refund.state,
        cause=refund.cause,
        failure_code=refund.failure_code,
        at=rfc3339(refund.at),
    )


def state_of(call: Call) -> MessageState:
    """How the API shows the state of a call: one that is open is ready, or leased while somebody has claimed it."""
    if call.state == "open":
        return "ready" if call.claim is None else "leased"
    return call.state


def message_view(order_id: str, call: Call) -> MessageView:
    def shown(at: datetime | None) -> str | None:
        return rfc3339(at) if at else None

    return MessageView(
        id=call.id,
        kind=call.kind,
        order_id=order_id,
        refund_id=call.refund_id,
        state=state_of(call),
        attempts=call.attempts,
        redrives=call.redrives,
        last_error=call.last_error,
        explanation=explain(call),
        created_at=rfc3339(call.created_at),
        first_attempt_at=shown(call.first_attempt_at),
        next_attempt_at=shown(max(call.due_at, call.redriven_at or call.created_at) if call.due_at else None),
        redriven_at=shown(call.redriven_at),
        updated_at=rfc3339(call.updated_at),
    )


def event_view(document: Document) -> EventView:
    """From a document of `payment_events`."""
    return EventView(
        id=document["_id"],
        type=document["type"],
        outcome=document["outcome"],
        detail=document.get("detail"),
        source=document["source"],
        charge_id=document.get("charge_id"),
        raw=document["raw"],
        received_at=rfc3339(document["received_at"]),
        times_received=int(document["times_received"]),
    )


_ENCODER = msgspec.json.Encoder(decimal_format="number")
_ZERO = Decimal(0)
