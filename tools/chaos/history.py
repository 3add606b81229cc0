"""The history: what the clients did and saw, the one thing that no service can have got wrong.

As in Jepsen every operation ends in one of three ways. `ok`: a 2xx was seen. `fail`: a definite refusal. `unknown`: the
client gave up; it may have happened, and may yet. A crashed run can be read from the file, one operation a line.
"""

import itertools
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

import msgspec

Outcome: TypeAlias = Literal["ok", "fail", "unknown"]
Kind: TypeAlias = Literal[
    "place", "read", "list", "cancel", "refund", "pay", "resolve", "redrive",
    "rival", "by hand", "dispute", "webhook",  # of strangers: a charge, refund, dispute at the provider, a post to our URL
]  # fmt: skip

# Answers after which the same request is sent again: nothing was decided.
IN_FLIGHT = "idempotency-key-in-flight"


class Attempt(msgspec.Struct, kw_only=True):
    """One HTTP try. If no whole answer came, `status` is None and `error` says why. Times are in seconds of the run."""

    url: str
    began: float
    seconds: float
    deadline_seconds: float
    status: int | None = None
    error: str | None = None
    replayed: bool = False
    location: str | None = None
    body: bytes = b""

    @property
    def ended(self) -> float:
        """Seconds of the run."""
        return self.began + self.seconds

    @property
    def succeeded(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def refused(self) -> bool:
        """Whether nothing was done and nothing will be: a 4xx other than those that say `later`."""
        return (
            self.status is not None
            and 400 <= self.status < 500
            and self.status != 429
            and IN_FLIGHT.encode() not in self.body
        )

    @property
    def undone(self) -> bool:
        """Whether it is certain that this try did nothing."""
        return self.refused or self.status == 429


class Operation(msgspec.Struct, kw_only=True):
    """Something a client wanted done, however many tries it took. `began` and `ended` in seconds since the run began, `at`
    in Unix seconds. `order_id` is known once the client has seen it; `command` is what it asked for.
    """

    number: int
    client: str
    merchant: str
    kind: Kind
    key: str | None = None
    order_id: str | None = None
    command: dict[str, Any] = {}
    began: float
    at: float
    ended: float | None = None
    attempts: list[Attempt] = []
    outcome: Outcome = "unknown"

    @property
    def answer(self) -> Attempt | None:
        """The first try that succeeded."""
        return next((attempt for attempt in self.attempts if attempt.succeeded), None)

    @property
    def may_have_happened(self) -> bool:
        """Whether one of its tries may have done it; a try that got no clear answer may still be under way."""
        return self.ended is None or any(not attempt.undone for attempt in self.attempts)


class History:
    """All operations of one run, in the order in which they began."""

    def __init__(self, path: Path | None = None) -> None:
        self.operations: list[Operation] = []
        self._file = path.open("wb") if path else None
        self._numbers = itertools.count(1)
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file:
            self._file.close()

    def now(self) -> float:
        """Seconds since the run began."""
        return round(time.monotonic() - self._started, 4)

    def begin(self, client: str, merchant: str, kind: Kind, **about: Any) -> Operation:
        operation = Operation(
            number=next(self._numbers),
            client=client,
            merchant=merchant,
            kind=kind,
            began=self.now(),
            at=time.time(),
            **about,
        )
        self.operations.append(operation)
        return operation

    def end(self, operation: Operation, outcome: Outcome) -> None:
        operation.outcome = outcome
        operation.ended = self.now()
        if self._file:
            self._file.write(msgspec.json.encode(operation) + b"\n")
            self._file.flush()


def read(path: Path) -> list[Operation]:
    """The operations of a run that was written to `path`; bodies are base64 there."""
    operations = [msgspec.json.decode(line, type=Operation) for line in path.read_bytes().splitlines()]
    return sorted(operations, key=lambda operation: operation.number)
