"""The provider's time, which a test may stop and move. Pure. C24

It decides when charges settle and deliveries are due, and it is the time that is recorded and shown. Leases, idempotency
keys, HTTP timeouts and the timestamps of signatures stay on real time.
"""

from datetime import datetime, timedelta
from typing import Literal

import msgspec

State = Literal["running", "frozen", "advancing"]

YEAR_MAX = 2200  # what is added to a time must still be one


class ClockError(Exception):
    """What was asked for is not possible; the message says why."""


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """Running, it is `offset_ms` ahead of real time. Otherwise it stands at `at`; while advancing, on its way to `until`,
    it moves from one thing that is due to the next, and afterwards it is what it was before, `then`.

    `version` counts what was asked of it; `lease_until` and `claim` belong to who advances it.
    """

    id: str = msgspec.field(name="_id", default="default")
    state: State = "running"
    offset_ms: int = 0
    at: datetime | None = None
    until: datetime | None = None
    then: Literal["running", "frozen"] = "running"
    asked_at: datetime | None = None
    version: int = 0
    lease_until: datetime | None = None
    claim: str | None = None

    def now(self, real: datetime) -> datetime:
        """The provider's time when it is `real`."""
        return self.at if self.at is not None else real + timedelta(milliseconds=self.offset_ms)


def frozen(clock: Clock, *, real: datetime) -> Clock:
    """Standing where it is. Raises ClockError."""
    _must_not_advance(clock)
    return msgspec.structs.replace(clock, state="frozen", at=clock.now(real), version=clock.version + 1)


def resumed(clock: Clock, *, real: datetime) -> Clock:
    """Running on from where it stands, which need not be real time. Raises ClockError."""
    _must_not_advance(clock)
    return _running_from(clock.now(real), clock, real=real)


def advancing(clock: Clock, by: timedelta, *, real: datetime) -> Clock:
    """On its way `by` ahead. Raises ClockError."""
    _must_not_advance(clock)
    at = clock.now(real)
    if at.year + by.days / 365 > YEAR_MAX:
        raise ClockError(f"that is beyond the year {YEAR_MAX}")
    then: Literal["running", "frozen"] = "frozen" if clock.state == "frozen" else "running"
    return msgspec.structs.replace(
        clock, state="advancing", at=at, until=at + by, then=then, asked_at=real, version=clock.version + 1
    )


def arrived(clock: Clock, *, real: datetime) -> Clock:
    """What an advancing clock is once nothing is due any more on its way."""
    assert clock.state == "advancing"
    assert clock.until is not None
    if clock.then == "running":
        return _running_from(clock.until, clock, real=real)
    return msgspec.structs.replace(clock, state="frozen", at=clock.until, until=None, version=clock.version + 1)


def _running_from(at: datetime, clock: Clock, *, real: datetime) -> Clock:
    offset_ms = round((at - real) / timedelta(milliseconds=1))
    return msgspec.structs.replace(
        clock, state="running", offset_ms=offset_ms, at=None, until=None, version=clock.version + 1
    )


def _must_not_advance(clock: Clock) -> None:
    if clock.state == "advancing":
        raise ClockError("the clock is advancing")
