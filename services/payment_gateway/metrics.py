"""What payment_gateway counts. What a transaction writes is counted after its commit, by the process that committed it. What
the database holds is in `take_stock.py`.
"""

from typing import get_args

from prometheus_client import Counter, Histogram, Info

from payment_gateway.charge import Charge
from payment_gateway.delivery import FORBIDDEN, Attempt
from payment_gateway.refund import Refund
from shared import VERSION, wire
from shared.metrics import SECONDS

Info("payment_gateway_build", "The version that runs").info({"version": VERSION})

_SETTLED = Counter("payment_gateway_settled_total", "Charges and refunds settled, by how", ["kind", "status"])
_SETTLED_BY_STATUS = {
    (kind, status): _SETTLED.labels(kind.__name__.lower(), status)
    for kind in (Charge, Refund)
    for status in get_args(wire.MoneyState)
    if status != "pending"
}

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


def count_settled(settled: Charge | Refund) -> None:
    _SETTLED_BY_STATUS[type(settled), settled.status].inc()


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
