"""What the OpenAPI document of order_api needs besides its structs and `words.toml`.

The examples of orders, calls, events and the timeline are made by the functions of the service: their members follow from
each other (status, payments, history, explanation), and examples of the fields one by one could contradict each other.
"""

from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from order_api import views
from order_api.calls import Try, redriven
from order_api.event import StoredEvent, judge, parse_event
from order_api.facts import Cancellation, Charge
from order_api.merge import merge
from order_api.order import Order, StatusChange
from order_api.outbox import charge_call
from order_api.routes import ROUTES
from order_api.timeline import timeline
from shared import wire
from tools.openapi.document import Api
from tools.openapi.schemas import Schemas


def _shown(view: Any) -> Any:
    return msgspec.json.decode(views.to_json(view))


def _at(time: str) -> datetime:
    """On the day of the examples."""
    return datetime.fromisoformat(f"2026-11-23T{time}Z")


_EVENT = Schemas([wire.EventEnvelope, wire.Charge], {wire.EventEnvelope: {"data": wire.Charge}}).example(
    wire.EventEnvelope
)
_RECEIVED = parse_event(msgspec.json.encode(_EVENT), source="webhook", now=_at("19:37:23.390"))
_KEPT = {name: getattr(_RECEIVED, name) for name in ("id", "type", "charge_id", "source", "raw", "received_at")}
_STORED = StoredEvent(**_KEPT, outcome="applied")
_NEW = Order(
    id=_EVENT["data"]["reference"],
    merchant="default",
    order_number="ORD-001",
    amount_minor=9999,
    currency="USD",
    exponent=2,
    payment_method="pm_card_visa",
    metadata={"basket": "7"},
    history=(StatusChange("Pending", _at("19:37:18.280"), "placed"),),
    created_at=_at("19:37:18.280"),
    updated_at=_at("19:37:18.280"),
)
_CALL = charge_call(_NEW, _NEW.payment_method, at=_NEW.created_at)
_PENDING = replace(_NEW, calls=(_CALL,))
_TRY = Try(at=_at("19:37:18.305"), ms=14, outcome="accepted", reason=f"made {_RECEIVED.charge_id}")
_MADE = replace(_PENDING, calls=(replace(_CALL, state="done", tries=(_TRY,)),))
_CHARGE = judge(_RECEIVED, _MADE).fact
assert isinstance(_CHARGE, Charge)
_PAID = merge(_MADE, _CHARGE, now=_RECEIVED.received_at, cause=f"{_RECEIVED.type} {_RECEIVED.id}")
_DECLINED = replace(_CHARGE, state="failed", failure_code="card_declined")
_FAILED = merge(_MADE, _DECLINED, now=_RECEIVED.received_at, cause="payment.failed evt_1")
_AGAIN = charge_call(_FAILED, "pm_card_visa", at=_at("19:41:02.118"))
_RETRIED = replace(_FAILED, calls=(*_FAILED.calls, _AGAIN))
_PAID_AGAIN = merge(_RETRIED, now=_AGAIN.created_at, cause="paid again with pm_card_visa")
_CANCELLED_AT = _at("19:37:19.120")
_CANCELLED = merge(_PENDING, Cancellation(_CANCELLED_AT), now=_CANCELLED_AT, cause="cancelled by the merchant")
_DEAD = replace(_CALL, state="dead", first_attempt_at=_at("19:37:18.291"))
_REDRIVEN = redriven(_DEAD, "", at=_at("22:00:31.070"), now=_at("22:00:31.070"))

API = Api(
    title="order_api",
    routes=ROUTES,
    rate_limited=True,
    answers={
        "create_order": _shown(views.order_view(_PENDING)),
        "cancel_order": _shown(views.order_view(_CANCELLED)),
        "create_payment": _shown(views.order_view(_PAID_AGAIN)),
        "create_refund": {"state": "requested", "at": "2026-11-23T19:39:01.020Z"},
        "resolve_review": {"reviews": [views.ReviewView]},
    },
    signed={"receive_payment_webhook": wire.EventEnvelope},
    examples={
        views.OrderView: _shown(views.order_view(_PAID)),
        views.MessageView: _shown(views.message_view(_PAID.id, _REDRIVEN)),
        views.EventView: _shown(views.event_view(_STORED)),
        views.TimelineView: _shown(timeline(_PAID, [_STORED])),
        wire.EventEnvelope: {"data": _EVENT["data"]},
    },
)
