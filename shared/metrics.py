"""The metrics of both services, for Prometheus. Each service has its own in its `metrics.py`.

Labels have few values, and known ones start at zero, because Prometheus sees no increase in a series whose first value is
one. Labels are resolved once, because resolving one costs more than counting.
"""

from collections.abc import Mapping
from datetime import datetime

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each that no rule asks for

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_DATABASE_ERROR_KINDS = ("unreachable", "timeout", "conflict", "refused", "other")
_DATABASE_ERRORS = Counter("database_errors_total", "Errors of MongoDB that ended an operation of ours", ["kind"])
DATABASE_ERRORS = {kind: _DATABASE_ERRORS.labels(kind) for kind in _DATABASE_ERROR_KINDS}

_TOGETHER = Histogram(
    "batch_size", "Callers whose work was done together", ["batches"], buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256)
)
_BATCH_SECONDS = Histogram("batch_seconds", "One try of a batch", ["batches"], buckets=SECONDS)
_BATCH_WAIT = Histogram("batch_wait_seconds", "From a caller's arrival to its answer", ["batches"], buckets=SECONDS)
_BATCH_QUEUE = Gauge("batch_queue_length", "Callers that wait for the next batch", ["batches"])
_BATCH_UNANSWERED = Counter("batch_unanswered_total", "Callers sent away to ask again", ["batches", "reason"])
_WRITE_RESULTS = ("written", "missed", "duplicate", "refused", "unknown")
_WRITES = Counter("document_writes_total", "Documents that were to be written, by result", ["batches", "result"])

_CLAIMS = Counter("leased_work_claims_total", "Claims by what they found", ["worker", "result"])
_CLAIMED = Counter("leased_work_claimed_total", "Pieces of work claimed", ["worker"])
_ABANDONED = Counter("leased_work_abandoned_total", "Pieces left to be claimed again when their lease ends", ["worker"])
_SLOTS = Gauge("leased_work_slots", "Pieces of work that may be in hand at once", ["worker"])
_BUSY = Gauge("leased_work_slots_busy", "Pieces of work in hand", ["worker"])


class BatchMetrics:
    """The metrics of one kind of batches."""

    def __init__(self, batches: str) -> None:
        self.batch_size = _TOGETHER.labels(batches)
        self.batch_seconds = _BATCH_SECONDS.labels(batches)
        self.wait_seconds = _BATCH_WAIT.labels(batches)
        self.queue_length = _BATCH_QUEUE.labels(batches)
        self.queue_full = _BATCH_UNANSWERED.labels(batches, "queue_full")
        self.deadline = _BATCH_UNANSWERED.labels(batches, "deadline")


def write_counts(batches: str) -> Mapping[str, Counter]:
    """Counts by the result of a write; those `unknown` and `missed` are tried again."""
    return {result: _WRITES.labels(batches, result) for result in _WRITE_RESULTS}


class LeasedWorkMetrics:
    """The metrics of one worker."""

    def __init__(self, worker: str) -> None:
        self.claims = {result: _CLAIMS.labels(worker, result) for result in ("work", "nothing", "failed")}
        self.claimed = _CLAIMED.labels(worker)
        self.abandoned = _ABANDONED.labels(worker)
        self.slots = _SLOTS.labels(worker)
        self.busy = _BUSY.labels(worker)


def age_seconds(since: datetime | None, now: datetime) -> float:
    """Seconds from `since` to `now`; 0 if `since` is None."""
    return max(0.0, (now - since).total_seconds()) if since else 0.0
