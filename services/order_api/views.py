"""Orders and what belongs to them as the API shows them. Amounts in decimal major units, as numbers."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from order_api.calls import Call, Kind
from order_api.event import Outcome, Source, StoredEvent
from order_api.explanation import explain
from order_api.order import ChargeState, Order, Refund, RefundCause, RefundState, Status, refunded_minor
from shared.money import in_major
from shared.times import rfc3339

MessageState = Literal["ready", "leased", "done", "dead", "void"]
MomentKind = Literal["placed", "call", "attempt", "charge", "event", "refund", "dispute", "review", "status"]
V = TypeVar("V", bound=msgspec.Struct)
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

    return _view(
        OrderView,
        order,
        amount=major(order.amount_minor),
        refunded_amount=major(refunded_minor(order)) if order.refunds else _ZERO,
        charges=[
            _view(ChargeView, one, amount=major(one.amount_minor))
            for one in sorted(order.charges, key=lambda charge: charge.id)
        ],
        refunds=[refund_view(one, order) for one in sorted(order.refunds, key=lambda refund: refund.id)],
        reviews=[
            _view(ReviewView, one) for one in sorted(order.reviews, key=lambda review: (review.code, review.event_id))
        ],
        history=[_view(StatusChangeView, one) for one in order.history],
    )


def refund_view(refund: Refund, order: Order) -> RefundView:
    return _view(RefundView, refund, amount=in_major(refund.amount_minor, order.exponent))


def state_of(call: Call) -> MessageState:
    """How the API shows the state of a call: one that is open is ready, or leased while somebody has claimed it."""
    if call.state == "open":
        return "ready" if call.claim is None else "leased"
    return call.state


def message_view(order_id: str, call: Call) -> MessageView:
    due = rfc3339(max(call.due_at, call.redriven_at or call.created_at)) if call.due_at else None
    return _view(
        MessageView, call, order_id=order_id, state=state_of(call), explanation=explain(call), next_attempt_at=due
    )


def event_view(event: StoredEvent) -> EventView:
    return _view(EventView, event)


def _view(kind: type[V], shown: msgspec.Struct, **others: Any) -> V:
    """The view of `shown`: `others`, and its own fields of the same names, with times as text."""
    for name in kind.__struct_fields__:
        if name not in others:
            value = getattr(shown, name)
            others[name] = rfc3339(value) if isinstance(value, datetime) else value
    return kind(**others)


_ENCODER = msgspec.json.Encoder(decimal_format="number")
_ZERO = Decimal(0)
