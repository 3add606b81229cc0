"""The counters of order_api. A change is counted once it is acknowledged, by the process that made it. `take_stock.py`
counts what the database holds.
"""

from typing import get_args

from prometheus_client import Counter, Gauge, Histogram, Info

from order_api.breaker import Breaker, State
from order_api.calls import Accepted, Call, Kind, Refused, Reply, Unavailable, Withdrawn
from order_api.event import Outcome, ReceivedEvent, Source
from order_api.order import Order, Status
from shared import VERSION
from shared.metrics import SECONDS
from shared.signing import SignatureFault
from shared.times import utc_now

Info("order_api_build", "The version that runs").info({"version": VERSION})

_ORDERS = Counter(
    "order_api_orders_total",
    "Orders that took on a status; one whose write was not confirmed in time may be missing",
    ["status"],
)
_ORDERS_BY_STATUS = {status: _ORDERS.labels(status) for status in get_args(Status)}
_TIME_TO_PAID = Histogram(
    "order_api_time_to_paid_seconds",
    "From placing an order to the write that made it Paid",
    buckets=(1, 2.5, 5, 7.5, 10, 15, 30, 60, 300, 1800, 7200, 86400),
)

_EVENTS = Counter("order_api_events_total", "Events of the provider, by what became of them", ["source", "outcome"])
_EVENTS_BY_OUTCOME = {
    (source, outcome): _EVENTS.labels(source, outcome) for source in get_args(Source) for outcome in get_args(Outcome)
}
_WEBHOOKS_REFUSED = Counter(
    "order_api_webhooks_refused_total",
    "Webhooks not taken: a malformed, stale or wrong signature, or a right one under something that is not an event",
    ["reason"],
)
WEBHOOKS_REFUSED = {reason: _WEBHOOKS_REFUSED.labels(reason) for reason in (*get_args(SignatureFault), "not_an_event")}

_ATTEMPTS = Counter(
    "order_api_dispatch_attempts_total", "Attempts of calls, by the provider's reply", ["kind", "result"]
)
_ATTEMPTS_BY_RESULT = {
    (kind, reply): _ATTEMPTS.labels(kind, reply.__name__.lower())
    for kind in get_args(Kind)
    for reply in (Accepted, Refused, Unavailable, Withdrawn)
}
_LOOK_UPS = Counter(
    "order_api_dispatch_look_ups_total",
    "Times the provider was asked what it has, before a call was sent or taken as refused",
    ["result"],
)
_LOOK_UPS_BY_RESULT = {
    kind: _LOOK_UPS.labels(result)
    for kind, result in ((Accepted, "found"), (type(None), "nothing"), (Unavailable, "unavailable"))
}
DISPATCH_SECONDS = Histogram(
    "order_api_dispatch_seconds", "One try of a call, until the provider's last reply", buckets=SECONDS
)

BREAKER_OPENINGS = Counter("order_api_breaker_openings_total", "Times the breaker before the provider opened")
_BREAKER_STATE = Gauge("order_api_breaker_state", "The breaker before the provider: 0 closed, 1 half-open, 2 open")

_RECONCILIATIONS = Counter(
    "order_api_reconciliations_total",
    "Open orders that the provider was asked about, and unmatched events that were judged again",
    ["result"],
)
RECONCILIATIONS = {result: _RECONCILIATIONS.labels(result) for result in ("answered", "unavailable", "judged_again")}


def count_status(order: Order) -> None:
    """Counts an order's new status. It is called once for each change of status, when that is written."""
    _ORDERS_BY_STATUS[order.status].inc()
    if order.status == "Paid" and sum(change.status == "Paid" for change in order.history) == 1:
        _TIME_TO_PAID.observe(max(0.0, (utc_now() - order.created_at).total_seconds()))


UNREADABLE = Counter("order_api_unreadable_documents_total", "Documents in a list that could not be shown")


def count_event(event: ReceivedEvent, outcome: Outcome) -> None:
    _EVENTS_BY_OUTCOME[event.source, outcome].inc()


def count_attempt(call: Call, reply: Reply) -> None:
    _ATTEMPTS_BY_RESULT[call.kind, type(reply)].inc()


def count_look_up(found: Accepted | Unavailable | None) -> None:
    _LOOK_UPS_BY_RESULT[type(found)].inc()


def watch(breaker: Breaker) -> None:
    """Shows the state of this breaker in the metrics."""
    _BREAKER_STATE.set_function(lambda: get_args(State).index(breaker.state))
