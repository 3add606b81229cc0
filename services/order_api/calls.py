"""Calls: requests that the provider must get, and what its replies mean for them. Pure.

A call is written into the order with the decision to move money, and posted until the provider's answer is known. Its id is
the provider's Idempotency-Key and its body is frozen, so posting again is posting once. C12
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated, Literal, TypeAlias, assert_never

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from shared.backoff import exponential

Kind = Literal["charge", "refund"]
State = Literal["open", "done", "dead", "void"]

ATTEMPTS_MAX = 24  # with the backoff below, a call is tried for one to two hours
BACKOFF_BASE_SECONDS = 0.5
BACKOFF_CAP_SECONDS = 600.0
RETRY_AFTER_CAP_SECONDS = 3600.0  # C16: a provider that says "in 30 years" is still asked again today
GIVEN_BACK_FOR = timedelta(days=30)  # C2: so long we try to give back what must go back
REDRIVES_MAX = 100  # each may leave a review on the order, whose document must stay small enough to be written
TRIES_KEPT = 10
# Codes of refunds that were withdrawn before they were sent: a dispute took the money, or it went back in another way.
DISPUTED, NOT_OWED = "disputed", "not-owed"
WITHDRAWN_CODES = frozenset({DISPUTED, NOT_OWED})
GIVING_BACK_TRIES = 40  # C2: with the pauses of `pause_before_giving_back` they take thirty days
CLOCK_SKEW = timedelta(minutes=1)  # a new call is due at once also where the server's clock is behind ours
KEY_TRUSTED_FOR = timedelta(hours=23)  # C13: the provider forgets keys after 24 h

# C15: the refusals that no retry can change. Everything else, a wrong API key included, is retried.
PERMANENT_REFUSALS = frozenset({"invalid-fields", "idempotency-key-reused", "exceeds-paid", "not-refundable"})


class Try(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt, as it was settled. `ms` is how long the provider took."""

    at: datetime
    ms: int
    outcome: Literal["accepted", "refused", "unavailable", "withdrawn"]
    status: int | None = None
    reason: str | None = None


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request to the provider that must be made: POST `body` to `path`. `reference` is our name of what it asks for.

    While it is open, `due_at` is when it may be claimed next, by the server's clock. While it is claimed, `claim` is the
    token of the claim and `due_at` the end of its lease. `settled_claim` is the claim under which it was last settled or
    given back: it shows anybody who watches the collection that this never happened under a lapsed claim. C11
    """

    id: Annotated[str, Meta(extra_json_schema={"pattern": "^obx_[0-9a-f]{32}$"})]
    kind: Kind
    reference: str
    refund_id: str | None = None
    payment_method: str | None = None
    path: str
    body: str
    state: State = "open"
    attempts: int = 0
    due_at: datetime | None
    claim: str | None = None
    settled_claim: str | None = None
    first_attempt_at: datetime | None = None
    last_error: str | None = None
    refused_code: str | None = None
    redrives: int = 0
    redrive: str | None = None
    redriven_at: datetime | None = None
    created_at: datetime
    updated_at: datetime
    tries: Annotated[tuple[Try, ...], Meta(extra_json_schema={"maxItems": TRIES_KEPT})] = ()


class Accepted(msgspec.Struct, frozen=True):
    """The provider has the charge or refund `id`. C15: a reply says no more than that; only an event says that it is paid.

    `adopted` means that it was found by its reference, so there may be another.
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
    """The outcome is unknown, or there is none yet, so the call is posted again with the same key. `answered` means that the
    provider is there all the same.
    """

    reason: str
    retry_after_seconds: float | None = None
    answered: bool = False


class Withdrawn(msgspec.Struct, frozen=True):
    """Nothing was sent and the provider has nothing, because the order was cancelled or paid meanwhile. C17"""


Reply: TypeAlias = Accepted | Refused | Unavailable | Withdrawn


class Retry(msgspec.Struct, frozen=True):
    after_seconds: float
    reason: str


class Dead(msgspec.Struct, frozen=True):
    """The call is given up. The provider may have done what it asks for."""

    reason: str


Decision: TypeAlias = Accepted | Refused | Retry | Dead | Withdrawn


def must_ask_first(call: Call, *, now: datetime) -> bool:
    """Whether the provider may have forgotten our key, so that posting could do it a second time. C13

    Time counts from the call's creation, because a database restored from a backup may lack the first attempt. It counts
    from the first attempt if that is earlier by the server's clock, because a replica's clock may be ahead.
    """
    if call.redrives > 0:
        return True
    first = min(call.created_at, call.first_attempt_at or call.created_at)
    return now - first > KEY_TRUSTED_FOR


def may_have_been_done(call: Call) -> bool:
    """Whether an earlier attempt's outcome is unknown. `attempts` already counts the present one. C15"""
    return call.attempts > 1 or call.redrives > 0


def decide(call: Call, reply: Reply, *, now: datetime, must_go_back: bool = False) -> Decision:
    """Decides what becomes of the call. `attempts` already counts the one that got this reply. With `must_go_back` the call
    gives back what the merchant must not keep, and is tried for days. C2
    """
    if not isinstance(reply, Unavailable):
        return reply
    since = call.redriven_at or call.created_at
    gives_up = now - since > GIVEN_BACK_FOR if must_go_back else call.attempts >= ATTEMPTS_MAX
    if gives_up:
        return Dead(f"gave up after {call.attempts} attempts: {reply.reason}")
    wait = exponential(call.attempts, base_seconds=BACKOFF_BASE_SECONDS, cap_seconds=BACKOFF_CAP_SECONDS)
    if must_go_back:
        wait = pause_before_giving_back(call.attempts).total_seconds()
    asked = min(reply.retry_after_seconds or 0.0, RETRY_AFTER_CAP_SECONDS)
    return Retry(max(wait, asked), reply.reason)


def pause_before_giving_back(failures: int) -> timedelta:
    """The pause before the next try to give back. It grows from a minute to a day. C2"""
    return min(timedelta(minutes=2 ** min(failures - 1, 20)), timedelta(days=1))


def has_ended(call: Call) -> bool:
    """Whether the call can no longer move money: it was refused for good, or will never be sent."""
    return call.state == "void" or call.refused_code is not None


def is_unsent(call: Call) -> bool:
    """Whether nobody can have sent the call, or be about to send it. C17: only such a call may be withdrawn."""
    return call.state == "open" and call.attempts == 0 and call.claim is None and call.first_attempt_at is None


def death_id(call: Call) -> str:
    """The id that its dead-letter review is filed under. Each redrive gets a new one; otherwise a call that dies again would
    match the review that was closed.
    """
    return f"{call.id}~{call.redrives}" if call.redrives else call.id


def claimed_when_stored(call: Call, token: str, *, now: datetime, lease_seconds: float) -> Call:
    """A new call, claimed by the write that stores it. `now` is the server's time. C11"""
    due_at = now + timedelta(seconds=lease_seconds)
    return replace(call, claim=token, due_at=due_at, attempts=1, first_attempt_at=now)


def ended(call: Call, state: Literal["done", "void"], *, now: datetime) -> Call:
    """Ends a call that an event has answered, or that must never be sent. Its claim is cleared, so the process that had
    claimed it changes nothing any more. C14
    """
    return replace(call, state=state, claim=None, due_at=None, updated_at=now)


def due_again(call: Call, now: datetime) -> Call:
    """Makes a call due at once whose claim was broken off. It may have been sent, so the attempt counts."""
    return replace(call, claim=None, settled_claim=call.claim, due_at=now, updated_at=now)


def given_back(call: Call, now: datetime) -> Call:
    """Makes a call due at once that was claimed but not sent. The claim costs no attempt. C11"""
    first_attempt_at = call.first_attempt_at if may_have_been_done(call) else None
    return replace(due_again(call, now), attempts=call.attempts - 1, first_attempt_at=first_attempt_at)


def settled(call: Call, decision: Decision, tried: Try, *, now: datetime) -> Call:
    """The call after an attempt, `now` by the server's clock."""
    tries = (*call.tries, tried)[-TRIES_KEPT:]
    after = replace(call, claim=None, due_at=None, settled_claim=call.claim, tries=tries, updated_at=now)
    match decision:
        case Accepted():
            return replace(after, state="done", last_error=None)
        case Retry(after_seconds, reason):
            due_at = now + timedelta(seconds=after_seconds)
            return replace(after, due_at=due_at, last_error=reason)
        case Refused(status, code):
            return replace(after, state="done", last_error=f"refused with {status} {code}", refused_code=code)
        case Dead(reason):
            return replace(after, state="dead", last_error=reason)
        case Withdrawn():
            return replace(after, state="void")
        case _:
            assert_never(decision)


def first_due(calls: Iterable[Call]) -> datetime | None:
    """The time when the first open call is due, None if no call is open. Claims look for it. C11"""
    return min((call.due_at for call in calls if call.state == "open" and call.due_at is not None), default=None)


def redriven(call: Call, redrive: str, *, at: datetime, now: datetime) -> Call:
    """Opens a dead call again, because a person said so at the time `at`. `first_attempt_at` stays, because the call may
    have been done at any time since then.
    """
    return replace(
        call,
        state="open",
        attempts=0,
        due_at=now,
        refused_code=None,
        redrive=redrive,
        redrives=call.redrives + 1,
        redriven_at=at,
        updated_at=at,
    )
