"""What an outbox message is, and what a reply of the provider means for it. Pure.

A message is written in the transaction that decides to move money, and posted until the provider's answer is known. Its
id is the provider's Idempotency-Key and its body is frozen, so posting again is posting once. C12
"""

from datetime import datetime, timedelta
from typing import Literal, TypeAlias

import msgspec

from order_api.order import Order, Refund, merge, money_owed_back
from shared import wire
from shared.backoff import exponential

Kind = Literal["charge", "refund"]
State = Literal["ready", "leased", "done", "dead", "void"]
OPEN_STATES = ("ready", "leased")

ATTEMPTS_MAX = 24  # with the backoff below: tried for one to two hours
BACKOFF_BASE_SECONDS = 0.5
BACKOFF_CAP_SECONDS = 600.0
RETRY_AFTER_CAP_SECONDS = 3600.0  # a provider that says "in 30 years" is still asked again today. C16
REDRIVES_MAX = 100  # each may leave a review on the order, which must stay a document that can be written
REFUSED = "refused with "  # how `last_error` of a message begins that the provider will never do
CLOCK_SKEW = timedelta(minutes=1)  # a new message is due at once also where the server's clock is behind ours
KEY_TRUSTED_FOR = timedelta(hours=23)  # the provider forgets keys after 24 h. C13

# The refusals that no retry can change. Everything else, a wrong API key included, is retried. C15
PERMANENT_REFUSALS = frozenset({"invalid-fields", "idempotency-key-reused", "exceeds-paid", "not-refundable"})


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A request to the provider that must be made: POST `body` to `path`.

    `settled_fence` is the fence under which a dispatcher last settled it or gave it back, equal to `fence` at that moment:
    so anybody who watches the collection can see that none ever did under a stale one. C11
    """

    id: str = msgspec.field(name="_id")
    merchant: str
    kind: Kind
    order_id: str
    refund_id: str | None = None
    path: str
    body: str
    state: State = "ready"
    attempts: int = 0
    first_attempt_at: datetime | None = None
    next_attempt_at: datetime
    lease_until: datetime | None = None
    fence: int = 0
    settled_fence: int | None = None
    redriven_at: datetime | None = None
    redrives: int = 0
    last_error: str | None = None
    trace: str | None = None
    created_at: datetime
    updated_at: datetime


class Accepted(msgspec.Struct, frozen=True):
    """The provider has the charge or refund `id`. That is all a reply can say: only an event says that it is paid. C15

    `adopted`: found by its reference, so it may not be the only one.
    """

    id: str
    amount_minor: int
    at: datetime
    adopted: bool = False


class Refused(msgspec.Struct, frozen=True):
    """The provider will never do this."""

    status: int
    code: str


class Unavailable(msgspec.Struct, frozen=True):
    """The outcome is unknown, or there is none yet: ask again with the same key."""

    reason: str
    retry_after_seconds: float | None = None


class Withdrawn(msgspec.Struct, frozen=True):
    """The provider has nothing, and nothing was sent: the order was cancelled. C17"""


Reply: TypeAlias = Accepted | Refused | Unavailable | Withdrawn


class Done(msgspec.Struct, frozen=True):
    accepted: Accepted


class Retry(msgspec.Struct, frozen=True):
    after_seconds: float
    reason: str


class Dead(msgspec.Struct, frozen=True):
    """Not tried again by itself. `refused_code` is set if the provider will never do it; else it may have been done."""

    reason: str
    refused_code: str | None = None


class Void(msgspec.Struct, frozen=True):
    """Not sent, ever."""


Decision: TypeAlias = Done | Retry | Dead | Void


def charge_message(order: Order) -> Message:
    """The message that charges a new order. There is one an order: its id follows from the order's."""
    body = wire.ChargeRequest(
        amount=order.amount_minor,
        currency=order.currency,
        reference=order.id,
        payment_method=order.payment_method,
    )
    return Message(
        id=charge_message_id(order.id),
        merchant=order.merchant,
        kind="charge",
        order_id=order.id,
        path="/v1/charges",
        body=msgspec.json.encode(body).decode(),
        next_attempt_at=order.created_at - CLOCK_SKEW,
        trace=order.trace,
        created_at=order.created_at,
        updated_at=order.created_at,
    )


def refund_message(order: Order, refund: Refund, *, now: datetime) -> Message:
    """The message that asks for a refund which `order` has reserved. Its id follows from the refund's."""
    body = wire.RefundRequest(amount=refund.amount_minor, reference=refund.id)
    return Message(
        id=refund_message_id(refund.id),
        merchant=order.merchant,
        kind="refund",
        order_id=order.id,
        refund_id=refund.id,
        path=f"/v1/charges/{refund.charge_id}/refunds",
        body=msgspec.json.encode(body).decode(),
        next_attempt_at=now - CLOCK_SKEW,
        trace=order.trace,
        created_at=now,
        updated_at=now,
    )


def ask_for_money_owed(order: Order, *, now: datetime) -> tuple[Order, list[Message]]:
    """The order with a refund asked for of every charge that must be given back, and the messages that ask. C2"""
    messages = []
    for refund in money_owed_back(order, now=now):
        order = merge(order, refund, now=now, cause=f"refund asked for: {refund.cause}")
        messages.append(refund_message(order, refund, now=now))
    return order, messages


def charge_message_id(order_id: str) -> str:
    return "obx_" + order_id.removeprefix("ord_")


def refund_message_id(refund_id: str) -> str:
    return "obx_" + refund_id.removeprefix("rf_")


def must_ask_first(message: Message, *, now: datetime) -> bool:
    """Whether the provider may have forgotten our key, so that posting could do it a second time. C13

    Counted from the message's creation, because in a database restored from a backup the first attempt may be missing; or
    from the first attempt if that is earlier by the server's clock, because a replica's clock may be ahead.
    """
    if message.redrives > 0:
        return True
    first = min(message.created_at, message.first_attempt_at or message.created_at)
    return now - first > KEY_TRUSTED_FOR


def may_have_been_done(message: Message) -> bool:
    """Whether an earlier attempt's outcome is unknown. `attempts` already counts the present one. C15"""
    return message.attempts > 1 or message.redrives > 0


def decide(message: Message, reply: Reply) -> Decision:
    """What becomes of the message. `attempts` already counts the one that got this reply."""
    match reply:
        case Accepted():
            return Done(reply)
        case Refused(status, code):
            return Dead(f"{REFUSED}{status} {code}", code)
        case Withdrawn():
            return Void()
        case Unavailable(reason, retry_after_seconds):
            if message.attempts >= ATTEMPTS_MAX:
                return Dead(f"gave up after {message.attempts} attempts: {reason}")
            wait = exponential(message.attempts, base_seconds=BACKOFF_BASE_SECONDS, cap_seconds=BACKOFF_CAP_SECONDS)
            asked = min(retry_after_seconds or 0.0, RETRY_AFTER_CAP_SECONDS)
            return Retry(max(wait, asked), reason)


def death_id(message: Message) -> str:
    """What the review of its death names: after each redrive another, or a second death would be taken for the first one,
    which is closed.
    """
    return f"{message.id}~{message.redrives}" if message.redrives else message.id


def may_be_redriven(message: Message, order: Order) -> bool:
    """Whether it may be sent again. A refund that was refused for good is failed, and what it reserved is free again:
    sending that as well could give it back twice. C18
    """
    requested = {refund.id for refund in order.refunds if refund.state == "requested"}
    redrivable = message.state == "dead" and message.redrives < REDRIVES_MAX
    return redrivable and (message.kind == "charge" or message.refund_id in requested)
