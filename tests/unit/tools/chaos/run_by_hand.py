"""A run of chaos that is written by hand, step by step, as its evidence would show it."""

import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from shared.ids import derive_id
from shared.mongo import Document
from tools.chaos.evidence import PLACING, Evidence, refunds_in
from tools.chaos.history import Attempt, Operation
from tools.chaos.watcher import Change

NORTH, SOUTH = "north", "south"
AMOUNT = 9999
ENDPOINT = "we_1"
START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
NOW = "2026-11-24T12:00:00.000Z"  # START, as the provider writes it
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

    def place(
        self, order_id: str, merchant: str, method: str = "pm_card_visa", *, end: Document | None = None
    ) -> Document:
        """Acknowledged at the first try, and replayed at the second. Its call is accepted, or ends as `end` says."""
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
        asked = {"amount": AMOUNT, "currency": "USD", "reference": order_id, "paymentMethod": method}
        order = {
            **wish,
            "_id": order_id,
            "merchant": merchant,
            "exponent": 2,
            "metadata": {},
            "status": "Pending",
            "charges": [],
            "refunds": [],
            "disputes": [],
            "cancelled_at": None,
            "asks_left": 0,
            "reviews": [],
            "history": [{"status": "Pending", "at": START, "cause": "placed"}],
            "keys": [remembered(key, PLACING, order_id, status=201, body=body, location=location)],
            "calls": [open_call("charge", order_id, "/v1/charges", asked)],
            "due_at": START,
            "reconcile_at": None,
            "version": 1,
            "writer": 1,
            "created_at": START,
        }
        self.evidence.orders.append(order)
        self._changed("orders", None, deepcopy(order))
        self._send(order, end)
        return order

    def pay_again(self, order: Document, method: str = "pm_card_visa") -> None:
        order_id, key = order["_id"], f"pay-{order['_id'][-1]}"
        body, location = json.dumps({"id": order_id, "status": "Pending"}), f"/api/orders/{order_id}"
        answer = {"status": 202, "body": body.encode(), "location": location}
        self.did("pay", order["merchant"], order_id, key=key, command={"payment_method": method}, **answer)
        endpoint = f"POST /api/orders/{order_id}/payments"
        kept = remembered(key, endpoint, "pay_1", status=202, body=body, location=location)
        asked = {"amount": AMOUNT, "currency": "USD", "reference": f"{order_id}.2", "paymentMethod": method}
        call = {**open_call("charge", f"{order_id}.2", "/v1/charges", asked), "id": derive_id("obx", order_id)}
        self._write(order, keys=[*order["keys"], kept], calls=[*order["calls"], call], due_at=START)
        self._send(order)

    def charge(
        self,
        order: Document,
        number: int = 1,
        failure_code: str | None = None,
        *,
        dropped: bool = False,
        attempt: int = 1,
    ) -> str:
        """At the provider, with its event, as far as the order."""
        status = "failed" if failure_code else "succeeded"
        reference = order["_id"] if attempt == 1 else f"{order['_id']}.{attempt}"
        charge: Document = {
            "_id": charge_id(order["_id"], number),
            "amount": AMOUNT,
            "currency": "USD",
            "reference": reference,
            "payment_method": order["payment_method"],
            "scenario": {},
            "status": "pending",
            "failure_code": None,
            "refunds": [],
            "disputes": [],
            "announce": [],
            "due_at": START,
            "created_at": START,
            "settles_at": START,
            "settled_at": None,
            "version": 0,
            "writer": 1,
        }
        self.evidence.provider_charges.append(charge)
        self._changed("charges", None, deepcopy(charge))
        data = {
            "id": charge["_id"],
            "reference": reference,
            "amount": AMOUNT,
            "failureCode": failure_code,
            "settledAt": NOW,
        }
        fact = {"id": charge["_id"], "state": status, "amount_minor": AMOUNT, "failure_code": failure_code}
        fact |= {"reference": reference, "at": START}
        learned = {"charges": [*order["charges"], fact]}
        ended = {"status": status, "failure_code": failure_code, "settled_at": START}
        self._tell(
            order, f"payment.{status}", charge["_id"], data, learned, charge=charge, ended=ended, dropped=dropped
        )
        return charge_id(order["_id"], number)

    def refund(
        self, order: Document, refund_id: str, of: str, amount: int, cause: str, failure_code: str | None = None
    ) -> None:
        """Asked for, made by the provider or not, and told."""
        self.ask_back(order, refund_id, of, amount, cause)
        self._send(order)
        fact = order["refunds"][-1]
        self._make_refund(order, {**fact, "provider_id": f"re_{refund_id}"}, refund_id, failure_code)

    def ask_back(
        self, order: Document, refund_id: str, of: str, amount: int, cause: str, *, due_at: datetime = START
    ) -> None:
        body = {"amount": amount, "reference": refund_id}
        call = {**open_call("refund", refund_id, f"/v1/charges/{of}/refunds", body), "due_at": due_at}
        asked = {"id": refund_id, "charge_id": of, "amount_minor": amount, "state": "requested", "cause": cause}
        fact = {**asked, "failure_code": None, "provider_id": None, "made_at": None}
        self._write(order, refunds=[*order["refunds"], fact], calls=[*order["calls"], call], due_at=due_at)

    def refund_by_hand(self, order: Document, of: str, amount: int) -> None:
        """At the provider, by somebody who knows nothing of us."""
        provider_id = f"re_by_hand_{of}"
        made = {"charge_id": of, "amount_minor": amount, "cause": "provider", "provider_id": provider_id}
        self.did("by hand", "", order["_id"], command={"amount": amount, "reference": "by hand"}, status=201)
        self._make_refund(order, {**made, "id": derive_id("rf", provider_id)}, "by hand", None)

    def _make_refund(self, order: Document, fact: Document, reference: str, failure_code: str | None) -> None:
        """At the provider, which tells of it."""
        of, status = fact["charge_id"], "failed" if failure_code else "succeeded"
        [charge] = [one for one in self.evidence.provider_charges if one["_id"] == of]
        pending: Document = {
            "id": fact["provider_id"],
            "reference": reference,
            "amount": fact["amount_minor"],
            "status": "pending",
            "failure_code": None,
            "scenario": {},
            "created_at": START,
            "settles_at": START,
            "settled_at": None,
        }
        self._write(charge, "charges", refunds=[*charge["refunds"], pending], due_at=START)
        end = {"status": status, "failure_code": failure_code, "settled_at": START}
        ended = {"refunds": [*charge["refunds"][:-1], {**pending, **end}]}
        data = {
            "id": pending["id"],
            "chargeId": of,
            "chargeReference": charge["reference"],
            "reference": reference,
            "amount": pending["amount"],
            "failureCode": failure_code,
            "createdAt": NOW,
        }
        fact = {**fact, "state": status, "failure_code": failure_code, "made_at": START}
        learned = {"refunds": [*(one for one in order["refunds"] if one["id"] != fact["id"]), fact]}
        self._tell(order, f"refund.{status}", pending["id"], data, learned, charge=charge, ended=ended)
        self.evidence.provider_refunds += refunds_in([{**charge, "refunds": charge["refunds"][-1:]}])

    def dispute(self, order: Document, of: str, amount: int) -> None:
        """By the customer's bank; it is lost."""
        [charge] = [one for one in self.evidence.provider_charges if one["_id"] == of]
        dispute: Document = {
            "id": derive_id("dp", of),
            "amount": amount,
            "reason": "fraudulent",
            "opens_at": START,
            "created_at": START,
        }
        for kind, status in (("created", "open"), ("closed", "lost")):
            data = {
                "id": dispute["id"],
                "chargeId": of,
                "chargeReference": order["_id"],
                "amount": amount,
                "status": status,
            }
            fact = {"id": dispute["id"], "charge_id": of, "amount_minor": amount, "state": status}
            ended = {"disputes": [{**dispute, "status": status}], "due_at": START}
            learned = {"disputes": [fact]}
            self._tell(order, f"dispute.{kind}", dispute["id"], data, learned, charge=charge, ended=ended)
        self.review(order, "dispute", dispute["id"])

    def promise_refund(self, order: Document, refund_id: str, of: str, major: float) -> None:
        """To a client."""
        body = json.dumps({"id": refund_id, "chargeId": of, "amount": major})
        location = f"/api/orders/{order['_id']}/refunds/{refund_id}"
        answer = {"status": 202, "body": body.encode(), "location": location}
        self.did("refund", order["merchant"], order["_id"], key="refund-key", command={}, **answer)
        endpoint = f"POST /api/orders/{order['_id']}/refunds"
        key = remembered("refund-key", endpoint, refund_id, status=202, body=body, location=location)
        self._write(order, keys=[*order["keys"], key])

    def review(self, order: Document, code: str, what: str) -> None:
        review = {"code": code, "event_id": what, "detail": "", "resolved_at": None, "decision": None}
        self._write(order, reviews=[*order["reviews"], review])

    def becomes(self, order: Document, status: str) -> None:
        change = {"status": status, "at": START, "cause": f"it is {status}"}
        self._write(order, status=status, history=[*order["history"], change])

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

    def receive(self, event: Document, order_id: str | None, source: str = "webhook") -> Document:
        """Stored, and nothing more is known of it."""
        told = {"_id": event["_id"], "type": event["type"], "raw": event["raw"], "order_id": order_id}
        received = {**told, "outcome": "received", "source": source, "times_received": 1, "version": 1, "writer": 1}
        self._changed("payment_events", None, received)
        return received

    def conclude(self, received: Document, outcome: str) -> None:
        stored = {**received, "outcome": outcome, "version": 2, "writer": 2}
        self.evidence.stored_events.append(stored)
        self._changed("payment_events", received, stored)

    def cancel(self, order: Document) -> None:
        self.did("cancel", order["merchant"], order["_id"], status=200)
        self._write(order, cancelled_at=START)

    def end(self) -> Evidence:
        """The last write of each document is one that only touches it: what is corrupted afterwards is so before it, too."""
        evidence = self.evidence
        for collection, documents in (("orders", evidence.orders), ("charges", evidence.provider_charges)):
            for document in documents:
                before = {**document}
                document |= {"version": before["version"] + 1, "writer": before["writer"] + 1}
                self._changed(collection, before, document)
        return evidence

    def _send(self, order: Document, end: Document | None = None) -> None:
        """The last call of an order: it is claimed, and settled with a charge or refund that was made, or as `end` says."""
        *others, call = order["calls"]
        later = START + timedelta(seconds=1)
        claimed = {**call, "claim": f"token of {call['id']}", "attempts": 1, "due_at": later}
        self._write(order, calls=[*others, claimed], due_at=later)
        tried = [{"at": START, "ms": 3, "outcome": "accepted", "status": None, "reason": None}]
        rest = {"state": "done", "claim": None, "settled_claim": claimed["claim"], "due_at": None, "tries": tried}
        self._write(order, calls=[*others, {**claimed, **rest, **(end or {})}], due_at=None)

    def _write(self, document: Document, collection: str = "orders", **fields: Any) -> None:
        """One write to an order or charge, as the watcher saw it."""
        before = deepcopy(document)
        document |= {**fields, "version": document["version"] + 1, "writer": document["writer"] + 1}
        self._changed(collection, before, deepcopy(document))

    def _tell(
        self,
        order: Document,
        kind: str,
        object_id: str,
        data: dict[str, Any],
        learned: Document,
        *,
        charge: Document,
        ended: Document,
        dropped: bool = False,
    ) -> None:
        """A charge, or a refund of it, has `ended`, and its event goes on its way: announced and delivered, then received,
        learned by the order, applied.
        """
        event_id = derive_id("evt", object_id, kind)
        raw = json.dumps({"id": event_id, "type": kind, "timestamp": NOW, "data": data})
        event = {
            "_id": event_id,
            "type": kind,
            "object_id": object_id,
            "reference": charge["reference"],
            "raw": raw,
            "fault": None,
        }
        mark = {"id": event_id, "object": object_id, "type": kind, "raw": raw, "to": [ENDPOINT]}
        self._write(charge, "charges", **ended, announce=[mark])
        self.evidence.provider_events.append(event)
        self._changed("events", None, event)
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
            "endpoint_id": ENDPOINT,
            "state": "cancelled" if dropped else "delivered",
            "fault": "dropped" if dropped else None,
            "attempts": [] if dropped else [forged, answered],
            "claim": None if dropped else "one",
            "lease_until": None,
            "queued_at": START,
            "created_at": START,
        }
        self.evidence.provider_deliveries.append(delivery)
        if dropped:
            self._changed("deliveries", None, delivery)
        else:
            queued = {**delivery, "state": "pending", "attempts": [], "claim": None}
            claimed = {**queued, "claim": "one", "lease_until": START}
            self._changed("deliveries", None, queued)
            self._changed("deliveries", queued, claimed)
            self._changed("deliveries", claimed, delivery)
        self._write(charge, "charges", announce=[], due_at=None)
        received = self.receive(event, order["_id"], "reconcile" if dropped else "webhook")
        self._write(order, **learned)
        self.conclude(received, "applied")

    def _changed(self, collection: str, before: Document | None, after: Document) -> None:
        """What is corrupted after it was written was seen as it is: `after` is not copied."""
        self.evidence.changes.append(
            Change(collection=collection, id=after["_id"], at=START, before=before, after=after)
        )


def remembered(value: str, endpoint: str, of: str, **answer: Any) -> Document:
    """What an idempotency key remembers."""
    expires_at = START + timedelta(hours=24)
    return {"value": value, "endpoint": endpoint, "of": of, "fingerprint": "f", "expires_at": expires_at, **answer}


def open_call(kind: str, thing_id: str, path: str, body: dict[str, Any]) -> Document:
    return {
        "id": message_id(thing_id),
        "kind": kind,
        "reference": thing_id,
        "refund_id": thing_id if kind == "refund" else None,
        "payment_method": body.get("paymentMethod"),
        "path": path,
        "body": json.dumps(body),
        "state": "open",
        "attempts": 0,
        "due_at": START,
        "claim": None,
        "settled_claim": None,
        "last_error": None,
        "refused_code": None,
        "redrives": 0,
        "redrive": None,
        "tries": [],
        "created_at": START,
    }
