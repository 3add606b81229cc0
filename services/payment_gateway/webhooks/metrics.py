"""Counts webhooks sent, by the process that sent them. What the database holds is counted in `take_stock.py`."""

from prometheus_client import Counter, Histogram

from payment_gateway.webhooks.delivery import FORBIDDEN, Attempt
from shared.metrics import SECONDS

_ATTEMPTS = Counter(
    "payment_gateway_delivery_attempts_total",
    "Webhooks sent, by the class of the answer's status, or why there was none",
    ["result"],
)
_ATTEMPTS_BY_RESULT = {
    result: _ATTEMPTS.labels(result)
    for result in ("2xx", "3xx", "4xx", "5xx", "other", "timeout", "forbidden", "no_answer")
}
_ATTEMPT_SECONDS = Histogram(
    "payment_gateway_delivery_seconds", "One webhook sent, until its answer was read", buckets=SECONDS
)


def count_attempt(attempt: Attempt) -> None:
    _ATTEMPTS_BY_RESULT[result_of(attempt)].inc()
    _ATTEMPT_SECONDS.observe(attempt.duration_ms / 1000)


def result_of(attempt: Attempt) -> str:
    if attempt.status is not None:
        return f"{attempt.status // 100}xx" if 200 <= attempt.status < 600 else "other"  # a stranger may answer 999
    kind = (attempt.error or "").partition(":")[0]
    if kind == FORBIDDEN:
        return "forbidden"
    return "timeout" if kind.endswith("TimeoutError") else "no_answer"
