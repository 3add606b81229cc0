"""A delivery: one event on its way to one endpoint. Says what an attempt means for it. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from payment_gateway.faults.rates import WRONG_AMOUNT, Forgery, Timing
from payment_gateway.faults.scenario import Scenario
from payment_gateway.webhooks.endpoint import FAILED_AT_STEP, Endpoint
from payment_gateway.webhooks.event import Mark, event_id
from shared.backoff import scheduled
from shared.documents import Verdict
from shared.ids import derive_id

RESPONSE_BYTES_MAX = 2048
RETRY_AFTER_CAP_SECONDS = 24 * 3600.0
GONE = 410  # the endpoint asks never to be called again (Standard Webhooks, Operational considerations)

Fault = Timing | Literal["duplicated", "wrong_amount"]
State = Literal["pending", "delivered", "failed", "cancelled"]
Failure = Literal["timeout", "forbidden", "no_answer"]  # forbidden: the operator does not let webhooks go there


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP try. `status` is None if no status line came; then `failure` says why, and `error` the same in words. With a
    status, `error` says what was wrong with the rest of the response. `forgery` says which forgery was sent instead of the
    true event. `sent_body` is None if it was the event's own. `sent_headers` has the endpoint's own headers without their
    values. An attempt of an earlier version has no `failure`, no headers and no `url`.
    """

    number: int
    at: datetime
    status: int | None
    duration_ms: int
    failure: Failure | None = None
    error: str | None
    response_body: str
    forgery: Forgery | None = None
    url: str | None = None
    sent_headers: Mapping[str, str] | None = None
    sent_body: str | None = None
    response_headers: Mapping[str, str] | None = None


class Hold(msgspec.Struct, frozen=True):
    """A delay: the delivery waits until the delivery `for_id` has been tried. Without one, it waits until any delivery
    queued later for its endpoint has been tried. When its time is over it is sent anyway.
    """

    for_id: str | None = msgspec.field(name="for", default=None)


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """`fault` says why it is not delivered as usual; `forgeries` are for its first attempts. `queued_at` is the real time at
    which its mark was read or written; a resent one has none. `claim` is the token of the process that has it until
    `lease_until`. `resent` is the claim that it had when somebody asked to resend it: that attempt had already begun.
    """

    id: str = msgspec.field(name="_id")
    merchant: str
    event_id: str
    endpoint_id: str
    state: State = "pending"
    next_attempt_at: datetime | None
    lease_until: datetime | None = None
    claim: str | None = None
    resent: str | None = None
    attempts: tuple[Attempt, ...] = ()
    fault: Fault | None = None
    forgeries: tuple[Forgery, ...] = ()
    hold: Hold | UnsetType = UNSET  # absent unless held: an index has only the held ones
    queued_at: datetime | None = None
    created_at: datetime
    version: int = 0

    @property
    def forgery(self) -> Forgery | None:
        """The forgery that its next attempt sends instead of the true event."""
        made = len(self.attempts)
        return self.forgeries[made] if made < len(self.forgeries) else None


class Next(msgspec.Struct, frozen=True):
    """The step after an attempt. `next_attempt_at` is None if no attempt follows. `gone`: the endpoint wants no more."""

    state: State
    next_attempt_at: datetime | None = None
    gone: bool = False


def new_deliveries(
    mark: Mark, scenario: Scenario, merchant: str, *, now: datetime, queued_at: datetime
) -> list[Delivery]:
    """The deliveries of an event, one for each endpoint that wants it. `queued_at` is real time."""
    made: list[Delivery] = []
    for endpoint_id in mark.to:
        first = new_delivery(mark.id, merchant, endpoint_id, now=now, queued_at=queued_at)
        if mark.fault == WRONG_AMOUNT:
            made.append(msgspec.structs.replace(first, fault=WRONG_AMOUNT))
        else:
            made += _true_deliveries(first, mark, scenario, now=now)
    return made


def is_held(mark: Mark, scenario: Scenario) -> bool:
    """Whether the deliveries of an event are held at first. The wrong one of two is not: the true one waits for it."""
    return mark.fault != WRONG_AMOUNT and (scenario.timing == "out_of_order" or scenario.wrong_amount)


def _true_deliveries(first: Delivery, mark: Mark, scenario: Scenario, *, now: datetime) -> list[Delivery]:
    """One delivery, or several if it is duplicated. A held one is due when its time is over."""
    timing = scenario.timing
    hold: Hold | UnsetType = UNSET
    if timing == "out_of_order":
        hold = Hold()
    elif scenario.wrong_amount:
        hold = Hold(delivery_id(event_id(mark.object, mark.type, WRONG_AMOUNT), first.endpoint_id))
    waits = timing == "delayed" or hold is not UNSET
    due_at = now + timedelta(seconds=scenario.webhook_delay_seconds * waits)
    first = msgspec.structs.replace(
        first,
        state="cancelled" if timing == "dropped" else "pending",
        next_attempt_at=None if timing == "dropped" else due_at,
        fault=timing,
        forgeries=scenario.forgeries,
        hold=hold,
    )
    return [first, *(_copy(first, number) for number in range(2, scenario.deliveries + 1))]


def new_delivery(
    event_id: str, merchant: str, endpoint_id: str, *, now: datetime, queued_at: datetime | None = None
) -> Delivery:
    """A delivery. C23: its id follows from event and endpoint, so announcing twice delivers once."""
    return Delivery(
        id=delivery_id(event_id, endpoint_id),
        merchant=merchant,
        event_id=event_id,
        endpoint_id=endpoint_id,
        next_attempt_at=now,
        queued_at=queued_at,
        created_at=now,
    )


def delivery_id(event_id: str, endpoint_id: str) -> str:
    return derive_id("dlv", event_id, endpoint_id)


def _copy(first: Delivery, number: int) -> Delivery:
    copy_id = derive_id("dlv", first.event_id, first.endpoint_id, str(number))
    return msgspec.structs.replace(first, id=copy_id, fault=first.fault or "duplicated")


def resent(
    event_id: str, endpoint: Endpoint, before: int, *, now: datetime, forgery: Forgery | None = None
) -> Delivery:
    """One more delivery, after `before` others of this event to this endpoint. Its id follows from all of these, so two
    requests at once resend once. With a `forgery`, its first attempt sends that.
    """
    forgeries = (forgery,) if forgery else ()
    own_id = derive_id("dlv", event_id, endpoint.id, "resent", str(before), *forgeries)
    again = new_delivery(event_id, endpoint.merchant, endpoint.id, now=now)
    return msgspec.structs.replace(again, id=own_id, forgeries=forgeries)


def after(
    attempt: Attempt, schedule_seconds: Sequence[float], *, ended_at: datetime, retry_after_seconds: float | None
) -> Next:
    """2xx is a success. Everything else, a redirect too, is a failure, which is tried again after the pause of the schedule,
    counted from its end. After a forgery, the true event still follows, whatever the answer was.
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


def recorded(
    delivery: Delivery | None, claim: str, attempt: Attempt | None, following: Next
) -> Verdict[Delivery, bool]:
    """The delivery after the work under `claim`: with an attempt, or ended without one. It says whether that was recorded;
    not if another process has claimed it since, or a reset took it. C23: the last claim counts.
    """
    if delivery is None:
        return Verdict(answer=False, found=True)
    if attempt is not None and attempt in delivery.attempts:  # our own effect
        return Verdict(answer=True, found=True)
    if delivery.claim != claim:
        return Verdict(answer=False, found=True)
    state, next_attempt_at = following.state, following.next_attempt_at
    may_follow = attempt is not None and state != "delivered" and not following.gone
    if may_follow and delivery.resent == claim:  # it stays due, because somebody asked to resend it meanwhile
        state, next_attempt_at = "pending", delivery.next_attempt_at
    after = msgspec.structs.replace(
        delivery,
        state=state,
        next_attempt_at=next_attempt_at,
        attempts=(*delivery.attempts, attempt) if attempt else delivery.attempts,
        lease_until=None,
        claim=None,
        resent=None,
        hold=UNSET,
    )
    return Verdict(answer=True, after=after)


def pause_max(schedule_seconds: Sequence[float]) -> timedelta:
    """The longest time between two attempts of a failing endpoint: the longest pause with its jitter, plus the uncertainty
    of the recorded last failure. By the default schedule 28 hours.
    """
    longest_seconds = max(*schedule_seconds, RETRY_AFTER_CAP_SECONDS, 0.0)
    return timedelta(seconds=longest_seconds * 1.1) + 2 * FAILED_AT_STEP
