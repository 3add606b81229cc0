"""What a delivery is: one event on its way to one endpoint, and what an attempt means for it. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

import msgspec

from payment_gateway.faults.rates import WRONG_AMOUNT, Forgery, Timing
from payment_gateway.faults.scenario import Scenario
from payment_gateway.webhooks.endpoint import FAILED_AT_STEP, Endpoint, wants
from payment_gateway.webhooks.event import Event
from shared.backoff import scheduled
from shared.ids import derive_id

RESPONSE_BYTES_MAX = 2048
RETRY_AFTER_CAP_SECONDS = 24 * 3600.0
FORBIDDEN = "Forbidden"  # what the error of an attempt begins with that the operator does not allow
GONE = 410  # the endpoint asks never to be called again (Standard Webhooks, Operational considerations)

HELD_MAX = 100  # deliveries that wait for one endpoint's next event; those before them wait out their time

Fault = Timing | Literal["duplicated", "wrong_amount"]
State = Literal["pending", "delivered", "failed", "cancelled"]


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP try. `status` is None where no response came; then `error` says why. `forgery` is what was sent instead of
    the true event.
    """

    number: int
    at: datetime
    status: int | None
    duration_ms: int
    error: str | None
    response_body: str
    forgery: Forgery | None = None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """`fault` says why it is not delivered as usual; `forgeries` are for its first attempts; `releases` are deliveries that
    are held until this one has been tried. `resent_fence` is the fence at which somebody asked for it again: the attempt
    under that fence had begun before.
    """

    id: str = msgspec.field(name="_id")
    merchant: str
    event_id: str
    endpoint_id: str
    state: State = "pending"
    next_attempt_at: datetime | None
    lease_until: datetime | None = None
    fence: int = 0
    resent_fence: int | None = None
    attempts: tuple[Attempt, ...] = ()
    fault: Fault | None = None
    forgeries: tuple[Forgery, ...] = ()
    releases: tuple[str, ...] = ()
    created_at: datetime

    @property
    def forgery(self) -> Forgery | None:
        """What its next attempt sends instead of the true event."""
        made = len(self.attempts)
        return self.forgeries[made] if made < len(self.forgeries) else None


class Next(msgspec.Struct, frozen=True):
    """What follows an attempt. `next_attempt_at` is None once there is no other. `gone`: the endpoint wants no more."""

    state: State
    next_attempt_at: datetime | None = None
    gone: bool = False


class Told(NamedTuple):
    """What has happened. The last of `events` is true; one before it has a wrong amount."""

    events: Sequence[Event]
    scenario: Scenario


def new_deliveries(endpoint: Endpoint, told: Iterable[Told]) -> tuple[list[Delivery], tuple[str, ...]]:
    """The deliveries of all that this endpoint wants, and its `held` after that: the first that is made to be sent at once
    releases them.
    """
    made: list[Delivery] = []
    held = endpoint.held
    for events, scenario in told:
        if not wants(endpoint, events[-1].merchant, events[-1].type):
            continue
        now = events[-1].created_at
        new = _true_deliveries(events[-1], endpoint, scenario, now=now)
        ids = tuple(one.id for one in new)
        for wrong in events[:-1]:
            new.insert(0, new_delivery(wrong, endpoint, now=now, fault=WRONG_AMOUNT, releases=ids))
        if scenario.timing == "out_of_order":
            held = (*held, *ids)[-HELD_MAX:]
        elif held and new[0].next_attempt_at == now:
            new[0] = msgspec.structs.replace(new[0], releases=(*new[0].releases, *held))
            held = ()
        made += new
    return made, held


def _true_deliveries(event: Event, endpoint: Endpoint, scenario: Scenario, *, now: datetime) -> list[Delivery]:
    """More than one if it is duplicated. What is held is due when it has been held for long enough."""
    timing = scenario.timing
    waits = timing in {"delayed", "out_of_order"} or scenario.wrong_amount
    due = now + timedelta(seconds=scenario.webhook_delay_seconds) if waits else now
    given = {"fault": timing, "forgeries": scenario.forgeries}
    if timing == "dropped":
        return [new_delivery(event, endpoint, now=now, state="cancelled", next_attempt_at=None, **given)]
    first = new_delivery(event, endpoint, now=now, next_attempt_at=due, **given)
    return [first, *(_copy(first, number) for number in range(2, scenario.deliveries + 1))]


def new_delivery(event: Event, endpoint: Endpoint, *, now: datetime, **given: Any) -> Delivery:
    """Its id follows from event and endpoint: settling twice delivers once. C23"""
    fields = {
        "id": derive_id("dlv", event.id, endpoint.id),
        "merchant": event.merchant,
        "event_id": event.id,
        "endpoint_id": endpoint.id,
        "next_attempt_at": now,
        "created_at": now,
    }
    return Delivery(**{**fields, **given})


def _copy(first: Delivery, number: int) -> Delivery:
    copy_id = derive_id("dlv", first.event_id, first.endpoint_id, str(number))
    return msgspec.structs.replace(first, id=copy_id, fault=first.fault or "duplicated")


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


def after(
    attempt: Attempt, schedule_seconds: Sequence[float], *, ended_at: datetime, retry_after_seconds: float | None
) -> Next:
    """2xx is a success; everything else, a redirect too, is a failure, tried again as the schedule says, counted from its
    end. Whatever a forgery is answered, the true event is still to come.
    """
    if attempt.forgery is None:
        if attempt.status is not None and 200 <= attempt.status < 300:
            return Next("delivered")
        if attempt.status == GONE:
            return Next("failed", gone=True)
        if attempt.number > len(schedule_seconds):
            return Next("failed")
    # Forgeries may be more than the schedule has waits: its last is for all that follow.
    wait = scheduled(schedule_seconds[: attempt.number][-1]) if schedule_seconds else 0.0
    asked = min(retry_after_seconds or 0.0, RETRY_AFTER_CAP_SECONDS)
    return Next("pending", ended_at + timedelta(seconds=max(wait, asked)))


def pause_max(schedule_seconds: Sequence[float]) -> timedelta:
    """The longest that an endpoint which fails is left in peace: the longest wait with its jitter, and how roughly the
    last failure is known. By the default schedule 28 hours.
    """
    longest_seconds = max(*schedule_seconds, RETRY_AFTER_CAP_SECONDS, 0.0)
    return timedelta(seconds=longest_seconds * 1.1) + 2 * FAILED_AT_STEP
