"""Orders and what belongs to them as the API shows them. Amounts in decimal major units, as numbers."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from order_api.calls import Call, Kind
from order_api.event import Outcome, Source, StoredEvent
from order_api.explanation import explain
from order_api.facts import ChargeState, DisputeState, Refund, RefundCause, RefundState
from order_api.money import sums
from order_api.order import Order, Status, attempts, charges_of
from shared.money import in_major
from shared.pages import Unreadable
from shared.times import rfc3339

MessageState = Literal["ready", "leased", "done", "dead", "void"]
PaymentState = Literal["pending", "succeeded", "failed", "void"]
MomentKind = Literal["placed", "call", "attempt", "charge", "event", "refund", "dispute", "review", "status"]
V = TypeVar("V", bound=msgspec.Struct)
S = TypeVar("S", Order, StoredEvent, Call)
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


class PaymentView(_View, frozen=True):
    """An attempt to pay the order. It is void if it was never made and never will be; `failureCode` says why it failed."""

    payment_method: str
    state: PaymentState
    failure_code: str | None
    at: Time


class DisputeView(_View, frozen=True):
    """A charge that the customer disputes at the bank, by the id that the provider gave the dispute."""

    id: str
    charge_id: str
    amount: Decimal
    state: DisputeState
    reason: str
    at: Time


class RefundView(_View, frozen=True):
    """A refund of a charge: asked for by the merchant, made by itself, or made at the provider by hand (`provider`).
    `number` is the merchant's own. `refused`: it is definitely not made; with `disputed` or `not-owed` it was never
    sent.
    """

    id: Annotated[str, Meta(examples=["rf_01a209e9bd1c7c2f95b1f30d6b7ad911"])]
    number: str | None
    charge_id: Annotated[str, Meta(examples=["ch_01a209e9aade7799afdccfd98db8e668"])]
    amount: Annotated[Decimal, Meta(examples=[10.0])]
    state: Annotated[RefundState, Meta(examples=["succeeded"])]
    cause: Annotated[RefundCause, Meta(examples=["merchant"])]
    failure_code: str | None
    at: Annotated[Time, Meta(examples=["2026-11-23T19:39:02.410Z"])]


class ReviewView(_View, frozen=True):
    """Something that a person must look at. `eventId` names its cause. It is open while `resolvedAt` is null; with no
    `decision` it has closed by itself, because its cause is gone.
    """

    code: Annotated[str, Meta(examples=["event-mismatch"])]
    detail: Annotated[str, Meta(examples=["9900 USD for an order of 9999 USD"])]
    event_id: Annotated[str, Meta(examples=["evt_01a209e9aade74c1a7b70b6a3f7d5e02"])]
    raised_at: Annotated[Time, Meta(examples=["2026-11-23T19:37:21.020Z"])]
    resolved_at: Annotated[Time | None, Meta(examples=["2026-11-23T20:12:40.300Z"])]
    decision: Annotated[str | None, Meta(examples=["accept"])]


class StatusChangeView(_View, frozen=True):
    """A status that the order came to have, and why."""

    status: Status
    at: Time
    cause: str


class OrderView(_View, frozen=True):
    """An order. Its status follows from its charges and refunds. `paymentMethod` is that of the first of its `payments`;
    `disputedAmount` is what customers have taken back at their bank or may yet.
    """

    id: str
    order_number: str
    amount: Decimal
    currency: str
    status: Status
    refunded_amount: Decimal
    disputed_amount: Decimal
    payment_method: str
    metadata: dict[str, str]
    payments: list[PaymentView]
    charges: list[ChargeView]
    refunds: list[RefundView]
    disputes: list[DisputeView]
    reviews: list[ReviewView]
    history: list[StatusChangeView]
    created_at: Time
    updated_at: Time


class UnreadableView(_View, frozen=True):
    """Something of a list that is there and cannot be shown: what is stored is not as it must be. The log says why."""

    id: str
    unreadable: bool = True


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

    of_order = sums(order) if order.refunds or order.disputes else None
    return _view(
        OrderView,
        order,
        amount=major(order.amount_minor),
        refunded_amount=major(of_order.given_back) if of_order else _ZERO,
        disputed_amount=major(of_order.disputed) if of_order else _ZERO,
        payments=[payment_view(one, order) for one in attempts(order)],
        charges=[
            _view(ChargeView, one, amount=major(one.amount_minor))
            for one in sorted(order.charges, key=lambda charge: charge.id)
        ],
        refunds=[refund_view(one, order) for one in sorted(order.refunds, key=lambda refund: refund.id)],
        disputes=[
            _view(DisputeView, one, amount=major(one.amount_minor))
            for one in sorted(order.disputes, key=lambda dispute: dispute.id)
        ],
        reviews=[
            _view(ReviewView, one) for one in sorted(order.reviews, key=lambda review: (review.code, review.event_id))
        ],
        history=[_view(StatusChangeView, one) for one in order.history],
    )


def payment_view(attempt: Call, order: Order) -> PaymentView:
    made = {charge.state: charge for charge in charges_of(order, attempt)}
    state: PaymentState = "pending"
    code = None
    if "succeeded" in made:
        state = "succeeded"
    elif "pending" in made or (attempt.state in {"open", "dead"} and attempt.refused_code is None):
        pass
    elif "failed" in made:
        state, code = "failed", made["failed"].failure_code
    elif attempt.state == "void":
        state = "void"
    elif attempt.refused_code is not None:
        state, code = "failed", attempt.refused_code
    method = attempt.payment_method or order.payment_method
    return PaymentView(payment_method=method, state=state, failure_code=code, at=rfc3339(attempt.created_at))


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


def shown(found: S | Unreadable, view: Callable[[S], V]) -> V | UnreadableView:
    """The view of one entry of a list, which may be one that cannot be shown."""
    return UnreadableView(id=found.id) if isinstance(found, Unreadable) else view(found)


def _view(kind: type[V], shown: msgspec.Struct, **others: Any) -> V:
    """The view of `shown`: `others`, and its own fields of the same names, with times as text."""
    for name in kind.__struct_fields__:
        if name not in others:
            value = getattr(shown, name)
            others[name] = rfc3339(value) if isinstance(value, datetime) else value
    return kind(**others)


_ENCODER = msgspec.json.Encoder(decimal_format="number")
_ZERO = Decimal(0)
