"""The provider's time, which a test may stop and move. Pure. C24: the clock moves nothing that safety rests on.

It decides when charges settle and deliveries are due, and it is the time that is recorded and shown. Leases, idempotency
keys, HTTP timeouts and the timestamps of signatures stay on real time.
"""

from datetime import datetime, timedelta
from typing import Literal

import msgspec

State = Literal["running", "frozen", "advancing"]

YEAR_MAX = 2200  # a time to which something is added must still be valid


class ClockError(Exception):
    """The request is not possible; the message says why."""


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """The test clock. Running, it is `offset_ms` ahead of real time; frozen, it stands at `at`. While it advances to
    `until`, it moves from one due time to the next; then it returns to the state before, `then`.

    `version` counts the requests to change it; `lease_until` and `claim` belong to the process that advances it.
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
        """The provider's time at the real time `real`."""
        return self.at if self.at is not None else real + timedelta(milliseconds=self.offset_ms)


def frozen(clock: Clock, *, real: datetime) -> Clock:
    """The clock, stopped at its time. Raises ClockError."""
    _must_not_advance(clock)
    return msgspec.structs.replace(clock, state="frozen", at=clock.now(real), version=clock.version + 1)


def resumed(clock: Clock, *, real: datetime) -> Clock:
    """The clock, running from the time at which it stands, which need not be real time. Raises ClockError."""
    _must_not_advance(clock)
    return _running_from(clock.now(real), clock, real=real)


def advancing(clock: Clock, by: timedelta, *, real: datetime) -> Clock:
    """The clock, on its way to `by` later. Raises ClockError."""
    _must_not_advance(clock)
    at = clock.now(real)
    if at.year + by.days / 365 > YEAR_MAX:
        raise ClockError(f"that is beyond the year {YEAR_MAX}")
    then: Literal["running", "frozen"] = "frozen" if clock.state == "frozen" else "running"
    return msgspec.structs.replace(
        clock, state="advancing", at=at, until=at + by, then=then, asked_at=real, version=clock.version + 1
    )


def arrived(clock: Clock, *, real: datetime) -> Clock:
    """The clock after an advance, once nothing is due on its way any more."""
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
