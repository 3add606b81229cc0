"""What a delivery is: one event on its way to one endpoint, and what an attempt means for it. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from payment_gateway.endpoint import Endpoint
from payment_gateway.event import Event
from shared.backoff import scheduled
from shared.ids import derive_id

RESPONSE_BYTES_MAX = 2048
RETRY_AFTER_CAP_SECONDS = 24 * 3600.0
FORBIDDEN = "Forbidden"  # what the error of an attempt begins with that the operator does not allow
GONE = 410  # the endpoint asks never to be called again (Standard Webhooks, Operational considerations)

State = Literal["pending", "delivered", "failed", "cancelled"]


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP try. `status` is None where no response came; then `error` says why."""

    number: int
    at: datetime
    status: int | None
    duration_ms: int
    error: str | None
    response_body: str


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    id: str = msgspec.field(name="_id")
    merchant: str
    event_id: str
    endpoint_id: str
    state: State = "pending"
    next_attempt_at: datetime | None
    lease_until: datetime | None = None
    fence: int = 0
    attempts: tuple[Attempt, ...] = ()
    created_at: datetime


class Next(msgspec.Struct, frozen=True):
    """What follows an attempt. `next_attempt_at` is None once there is no other. `gone`: the endpoint wants no more."""

    state: State
    next_attempt_at: datetime | None = None
    gone: bool = False


def new_delivery(event: Event, endpoint: Endpoint, *, now: datetime) -> Delivery:
    """Its id follows from event and endpoint: settling twice delivers once. C23"""
    return Delivery(
        id=derive_id("dlv", event.id, endpoint.id),
        merchant=event.merchant,
        event_id=event.id,
        endpoint_id=endpoint.id,
        next_attempt_at=now,
        created_at=now,
    )


def resent(event_id: str, endpoint: Endpoint, before: int, *, now: datetime) -> Delivery:
    """One more delivery, after `before` others of this event to this endpoint. Its id follows from all three: two who
    resend at once send once.
    """
    return Delivery(
        id=derive_id("dlv", event_id, endpoint.id, "resent", str(before)),
        merchant=endpoint.merchant,
        event_id=event_id,
        endpoint_id=endpoint.id,
        next_attempt_at=now,
        created_at=now,
    )


def after(attempt: Attempt, schedule_seconds: Sequence[float], *, retry_after_seconds: float | None) -> Next:
    """2xx is a success; everything else, a redirect too, is a failure, tried again as the schedule says."""
    if attempt.status is not None and 200 <= attempt.status < 300:
        return Next("delivered")
    if attempt.status == GONE:
        return Next("failed", gone=True)
    if attempt.number > len(schedule_seconds):
        return Next("failed")
    wait = scheduled(schedule_seconds[attempt.number - 1])
    asked = min(retry_after_seconds or 0.0, RETRY_AFTER_CAP_SECONDS)
    return Next("pending", attempt.at + timedelta(seconds=max(wait, asked)))
