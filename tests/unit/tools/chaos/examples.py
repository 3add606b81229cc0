"""A small run, made by hand, in which everything is as it must be: five orders of two merchants, and a stranger.

- PARTLY_REFUNDED: placed twice with one key, paid, a part given back.
- CHARGED_TWICE: two charges succeeded; the second was given back by itself.
- CANCELLED: while its charge was under way; given back by itself.
- REFUSED: the provider would not take it: a dead letter.
- DECLINED: its event was never delivered; reconciliation has fetched it.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from shared.ids import derive_id
from shared.mongo import Document
from tools.chaos.evidence import PLACING, Evidence
from tools.chaos.history import Attempt, Operation
from tools.chaos.watcher import Change

NORTH, SOUTH = "north", "south"
PARTLY_REFUNDED, CHARGED_TWICE, CANCELLED, REFUSED, DECLINED = (f"ord_{number:032x}" for number in range(1, 6))
AMOUNT = 9999
START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SECRET = "whsec_dGhlIHNlY3JldCBvZiB0aGUgaGFuZC1tYWRlIHJ1bg=="
API_KEY = "the-key-of-the-north"


def charge_id(order_id: str, number: int = 1) -> str:
    """Ids sort by number."""
    return f"ch_{number}{order_id.removeprefix('ord_')[1:]}"


def message_id(thing_id: str) -> str:
    return "obx_" + thing_id.partition("_")[2]


class Run:
    """The run as it goes on; `evidence` is what is left of it."""

    def __init__(self, log: Path) -> None:
        log.write_text('{"event":"request","path":"/api/orders","status":201}\n')
        self.evidence = Evidence(
            merchants=[NORTH, SOUTH],
            operations=[],
            orders=[],
            keys=[],
            messages=[],
            stored_events=[],
            provider_charges=[],
            provider_refunds=[],
            provider_events=[],
            provider_deliveries=[],
            changes=[],
            logs=[log],
            secrets=[SECRET, API_KEY],
            memory={"order_api_1": [80, 90, 95, 96, 97, 98]},
        )

    def place(self, order_id: str, merchant: str, method: str = "pm_card_visa") -> Document:
        """Acknowledged at the first try, and replayed at the second."""
        wish = {
            "order_number": f"NUMBER-{order_id[-1]}",
            "amount_minor": AMOUNT,
            "currency": "USD",
            "payment_method": method,
        }
        key, body = f"key-{order_id[-1]}", json.dumps({"id": order_id, "status": "Pending"})
        location = f"/api/orders/{order_id}"
        for replayed in (False, True):
            answer = {"status": 201, "body": body.encode(), "location": location, "replayed": replayed}
            self.did("place", merchant, order_id, key=key, command=wish, **answer)
        self._remember(f"{merchant}:{key}", PLACING, order_id, status=201, body=body, location=location)
        order = {
            **wish,
            "_id": order_id,
            "merchant": merchant,
            "status": "Pending",
            "charges": [],
            "refunds": [],
            "cancelled_at": None,
            "reviews": [],
            "history": [{"status": "Pending", "at": START, "cause": "placed"}],
            "version": 1,
        }
        self.evidence.orders.append(order)
        asked = {"amount": AMOUNT, "currency": "USD", "reference": order_id, "paymentMethod": method}
        self._send(order, "charge", order_id, "/v1/charges", asked)
        return order

    def charge(
        self, order: Document, number: int = 1, failure_code: str | None = None, *, dropped: bool = False
    ) -> str:
        """At the provider, with its event, as far as the order."""
        status = "failed" if failure_code else "succeeded"
        charge: Document = {
            "_id": charge_id(order["_id"], number),
            "amount": AMOUNT,
            "currency": "USD",
            "reference": order["_id"],
            "status": status,
            "failure_code": failure_code,
            "created_at": START,
            "settled_at": START,
        }
        self.evidence.provider_charges.append(charge)
        data = {"id": charge["_id"], "reference": order["_id"], "amount": AMOUNT, "failureCode": failure_code}
        self._tell(order, f"payment.{status}", charge["_id"], data, dropped=dropped)
        fact = {"id": charge["_id"], "state": status, "amount_minor": AMOUNT, "failure_code": failure_code}
        order["charges"] = [*order["charges"], fact]
        return charge_id(order["_id"], number)

    def refund(self, order: Document, refund_id: str, of: str, amount: int, cause: str) -> None:
        """Asked for, made by the provider, and told."""
        body = {"amount": amount, "reference": refund_id}
        self._send(order, "refund", refund_id, f"/v1/charges/{of}/refunds", body)
        given_back = {
            "_id": "re_" + refund_id.removeprefix("rf_"),
            "charge_id": of,
            "charge_reference": order["_id"],
            "reference": refund_id,
            "amount": amount,
            "currency": "USD",
            "status": "succeeded",
            "failure_code": None,
            "created_at": START,
            "settled_at": START,
        }
        self.evidence.provider_refunds.append(given_back)
        data = {
            "id": given_back["_id"],
            "chargeId": of,
            "chargeReference": order["_id"],
            "reference": refund_id,
            "amount": amount,
            "failureCode": None,
        }
        self._tell(order, "refund.succeeded", given_back["_id"], data)
        fact = {"id": refund_id, "charge_id": of, "amount_minor": amount, "state": "succeeded"}
        order["refunds"] = [*order["refunds"], {**fact, "cause": cause, "failure_code": None}]

    def promise_refund(self, order: Document, refund_id: str, of: str, major: float) -> None:
        """To a client."""
        body = json.dumps({"id": refund_id, "chargeId": of, "amount": major})
        location = f"/api/orders/{order['_id']}/refunds/{refund_id}"
        answer = {"status": 202, "body": body.encode(), "location": location}
        self.did("refund", order["merchant"], order["_id"], key="refund-key", command={}, **answer)
        endpoint = f"POST /api/orders/{order['_id']}/refunds"
        record_id = f"{order['merchant']}:refund-key"
        self._remember(record_id, endpoint, refund_id, status=202, body=body, location=location)

    def review(self, order: Document, code: str, what: str) -> None:
        review = {"code": code, "event_id": what, "detail": "", "resolved_at": None, "decision": None}
        order["reviews"] = [*order["reviews"], review]

    def becomes(self, order: Document, status: str) -> None:
        order["status"] = status
        order["history"] = [*order["history"], {"status": status, "at": START, "cause": f"it is {status}"}]

    def die(self, order: Document, last_error: str) -> None:
        """The charge message."""
        [message] = [one for one in self.evidence.messages if one["_id"] == message_id(order["_id"])]
        message |= {"state": "dead", "last_error": last_error}
        self.review(order, "dead-letter", message["_id"])

    def did(self, kind: Any, merchant: str, order_id: str | None, *, key: str | None = None, **seen: Any) -> Operation:
        command = seen.pop("command", {})
        attempt = Attempt(url="http://127.0.0.1:8000", began=1.0, seconds=0.1, deadline_seconds=12.0, **seen)
        number = len(self.evidence.operations) + 1
        operation = Operation(
            number=number,
            client="customer",
            merchant=merchant,
            kind=kind,
            key=key,
            order_id=order_id,
            command=command,
            began=float(number),
            at=START.timestamp() + number,
            ended=number + 0.2,
            attempts=[attempt],
            outcome="ok" if attempt.succeeded else "fail",
        )
        self.evidence.operations.append(operation)
        return operation

    def store(self, event: Document, order_id: str | None, outcome: str, source: str = "webhook") -> None:
        told = {"_id": event["_id"], "type": event["type"], "raw": event["raw"], "order_id": order_id}
        stored = {**told, "outcome": outcome, "source": source, "times_received": 1}
        self.evidence.stored_events.append(stored)
        self._changed("payment_events", None, stored)

    def end(self) -> Evidence:
        for order in self.evidence.orders:
            self._changed("orders", None, order)
        return self.evidence

    def _remember(self, record_id: str, endpoint: str, thing_id: str, **answer: Any) -> None:
        self.evidence.keys.append({"_id": record_id, "endpoint": endpoint, "resource_id": thing_id, **answer})

    def _send(self, order: Document, kind: str, thing_id: str, path: str, body: dict[str, Any]) -> None:
        """A message that was written, claimed and settled."""
        ready: Document = {
            "_id": message_id(thing_id),
            "merchant": order["merchant"],
            "kind": kind,
            "order_id": order["_id"],
            "refund_id": thing_id if kind == "refund" else None,
            "path": path,
            "body": json.dumps(body),
            "state": "ready",
            "attempts": 0,
            "fence": 0,
            "lease_until": None,
            "last_error": None,
            "created_at": START,
            "updated_at": START,
        }
        later = START + timedelta(seconds=1)
        leased = {**ready, "state": "leased", "attempts": 1, "fence": 1, "claim": "one", "lease_until": later}
        settled = {"state": "done", "settled_fence": 1, "lease_until": None, "updated_at": later}
        done = {**leased, **settled}
        self._changed("outbox", None, ready)
        self._changed("outbox", ready, leased)
        self._changed("outbox", leased, done)
        self.evidence.messages.append(done)

    def _tell(self, order: Document, kind: str, object_id: str, data: dict[str, Any], *, dropped: bool = False) -> None:
        event_id = derive_id("evt", object_id, kind)
        raw = json.dumps({"id": event_id, "type": kind, "data": data})
        event = {"_id": event_id, "type": kind, "object_id": object_id, "reference": order["_id"], "raw": raw}
        self.evidence.provider_events.append(event)
        forged = {
            "number": 1,
            "at": START,
            "status": 401,
            "forgery": "bad_signature",
            "error": None,
            "response_body": "",
        }
        answered = {**forged, "number": 2, "status": 200, "forgery": None, "response_body": '{"outcome":"applied"}'}
        delivery: Document = {
            "_id": f"dlv_{event_id}",
            "event_id": event_id,
            "state": "cancelled" if dropped else "delivered",
            "fault": "dropped" if dropped else None,
            "attempts": [] if dropped else [forged, answered],
            "created_at": START,
        }
        self.evidence.provider_deliveries.append(delivery)
        self.store(event, order["_id"], "applied", "reconcile" if dropped else "webhook")

    def _changed(self, collection: str, before: Document | None, after: Document) -> None:
        """What is corrupted after it was written was seen as it is: `after` is not copied."""
        self.evidence.changes.append(
            Change(collection=collection, id=after["_id"], at=START, before=before, after=after)
        )


def a_run(log: Path) -> Evidence:
    """Anew each time: it may be corrupted."""
    run = Run(log)
    order = run.place(PARTLY_REFUNDED, NORTH)
    charge = run.charge(order)
    run.promise_refund(order, "rf_" + "a" * 32, charge, 10.00)
    run.refund(order, "rf_" + "a" * 32, charge, 1000, "merchant")
    run.becomes(order, "Paid")
    run.becomes(order, "PartiallyRefunded")

    order = run.place(CHARGED_TWICE, SOUTH)
    run.charge(order, 1)
    second = run.charge(order, 2)
    run.refund(order, derive_id("rf", second, "automatic", "0"), second, AMOUNT, "duplicateCharge")
    run.review(order, "second-charge", second)
    run.becomes(order, "Paid")

    order = run.place(CANCELLED, NORTH)
    run.did("cancel", NORTH, CANCELLED, status=200)
    order["cancelled_at"] = START
    charge = run.charge(order)
    run.refund(order, derive_id("rf", charge, "automatic", "0"), charge, AMOUNT, "cancelled")
    run.becomes(order, "Cancelled")

    order = run.place(REFUSED, SOUTH, "pm_of_nobody")
    run.die(order, "refused with 422 invalid-fields")

    order = run.place(DECLINED, SOUTH, "pm_card_declined")
    run.charge(order, failure_code="card_declined", dropped=True)
    run.becomes(order, "Failed")

    strangers_do(run)
    return run.end()


def strangers_do(run: Run) -> None:
    """A forgery is refused, an event of an unknown type with a true signature is stored, a spy finds nothing."""
    run.did("webhook", "", REFUSED, command={"trick": "forged", "raw": '{"forged":true}'}, status=401)
    raw = json.dumps({"id": "evt_imagined", "type": "payment.imagined", "data": {}})
    run.did("webhook", "", None, command={"trick": "unknown type", "raw": raw}, status=200)
    run.store({"_id": "evt_imagined", "type": "payment.imagined", "raw": raw}, None, "ignored")
    run.did("read", NORTH, REFUSED, status=404)
