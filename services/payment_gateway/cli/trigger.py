"""`payment-gateway trigger`: makes an event, as a right client would, and shows how it was delivered."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

import rich_click as click
from rich.text import Text

from payment_gateway.cli.client import Gateway, Json
from payment_gateway.cli.options import DURATION, WORDS, Kind, command
from payment_gateway.cli.root import payment_gateway
from payment_gateway.cli.terminal import LateError, Terminal, word

EVENT_TYPES = (
    *("payment.succeeded", "payment.failed", "refund.succeeded", "refund.failed"),
    *("dispute.created", "dispute.closed"),
)
POLL_SECONDS = 0.05
EVENTS_MAX = 100


def _scenario(text: str) -> Json:
    """From JSON as the API takes it, or the names of faults: `lost,duplicated`."""
    if text.lstrip().startswith("{"):
        try:
            scenario: Json = json.loads(text)
        except ValueError as error:
            raise ValueError(f"not JSON: {error}") from None
        return scenario

    from payment_gateway.faults.rates import REPLY_FAULTS, WEBHOOK_FAULTS, WRONG_AMOUNT  # noqa: PLC0415 - 0.1 s

    names = WORDS.convert(text, None, None)
    known = {*REPLY_FAULTS, *WEBHOOK_FAULTS, WRONG_AMOUNT}
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"{', '.join(unknown)}: not among {', '.join(sorted(known))}")
    scenario = {
        "replies": [name for name in names if name in REPLY_FAULTS],
        "webhooks": [name for name in names if name in WEBHOOK_FAULTS],
        "wrongAmount": WRONG_AMOUNT in names,
    }
    return {name: value for name, value in scenario.items() if value}


SCENARIO = Kind("json|fault,…", _scenario)


@command(payment_gateway, "trigger")
@click.argument("event_type", metavar="EVENT", type=click.Choice(EVENT_TYPES))
@click.option("--repeat", type=click.IntRange(1, 100_000), default=1, show_default=True, help="How many, in turn.")
@click.option("--scenario", type=SCENARIO, default="", help="How the gateway misbehaves: JSON, or names of faults.")
@click.option("--charge-scenario", type=SCENARIO, default="", help="The same, for the charge under a refund.")
@click.option("--amount", type=click.IntRange(1), default=1000, show_default=True, help="In minor units.")
@click.option("--currency", default="USD", show_default=True)
@click.option("--payment-method", help="Such as pm_card_visa; without it, one that makes the event.")
@click.option("--reference", help="Your id of what is paid; without it, a fresh one.")
@click.option("--outcome", type=click.Choice(["won", "lost"]), default="lost", show_default=True, help="Of a dispute.")
@click.option("--timeout", type=DURATION, default="30s", show_default=True, help="How long to wait for what follows.")
def trigger(
    gateway: Gateway, terminal: Terminal, event_type: str, repeat: int, reference: str | None, **own: Any
) -> None:
    """Make a charge, refund or dispute it if EVENT is of a refund or a dispute, and show the events and how they were
    delivered.

    EVENT is payment.succeeded, payment.failed, refund.succeeded, refund.failed, dispute.created or dispute.closed. It
    settles at once, unless --payment-method or --scenario says otherwise. A reply that goes wrong is answered by asking
    again, with the same key.
    """
    others = 0
    for _ in range(repeat):
        made = _Run(gateway, terminal, event_type, **own).play(reference or f"cli-{uuid4().hex[:12]}")
        _show(terminal, made)
        others += all(one["event"]["type"] != event_type for one in made["events"])
    if others:
        raise LateError(f"{event_type} did not come of {others} out of {repeat}")


@dataclass
class _Run:
    """One event, from the charge to its deliveries. `scenario` is for what the event is about, `charge_scenario` for the
    charge under a refund. `outcome` is how a dispute closes. Raises LateError, and what Gateway raises.
    """

    gateway: Gateway
    terminal: Terminal
    event_type: str
    amount: int
    currency: str
    payment_method: str | None
    scenario: Json
    charge_scenario: Json
    outcome: str
    timeout: float  # in seconds

    def __post_init__(self) -> None:
        self._deadline = monotonic() + self.timeout

    def play(self, reference: str) -> Json:
        before = {event["id"] for event in self._events(reference)}
        charge, refund, dispute = self._charge(reference), None, None
        if self.event_type.startswith("refund."):
            refund = self._refund(charge)
        if self.event_type.startswith("dispute."):
            dispute = self._dispute(charge)
        made = [event for event in self._events(reference) if event["id"] not in before]
        return {"charge": charge, "refund": refund, "dispute": dispute, "events": self._delivered(made)}

    def _charge(self, reference: str) -> Json:
        refunding = self.event_type.startswith("refund.")
        scenario = self.charge_scenario if refunding else self.scenario
        method = self.payment_method
        if method is None:
            method = "pm_card_declined" if self.event_type == "payment.failed" else "pm_card_visa"
            scenario = {"settleDelaySeconds": 0, **scenario}
        body = {
            "amount": self.amount,
            "currency": self.currency,
            "reference": reference,
            "paymentMethod": method,
            "scenario": scenario,
        }
        return self._settled("/v1/charges", "/v1/charges", body)

    def _refund(self, charge: Json) -> Json:
        fails = {"failureCode": "refused"} if self.event_type == "refund.failed" else {}
        body = {
            "amount": charge["amount"],
            "reference": f"refund-{uuid4().hex[:12]}",
            "scenario": {"settleDelaySeconds": 0, **fails, **self.scenario},
        }
        return self._settled(f"/v1/charges/{charge['id']}/refunds", "/v1/refunds", body)

    def _dispute(self, charge: Json) -> Json:
        opened = self.gateway.call("POST", f"/v1/test/charges/{charge['id']}/dispute", {})
        if self.event_type == "dispute.created":
            return opened
        return self.gateway.call("POST", f"/v1/test/disputes/{opened['id']}/close", {"outcome": self.outcome})

    def _settled(self, made_at: str, shown_at: str, body: Json) -> Json:
        again, reference = self.terminal.say, body["reference"]
        made = self.gateway.create(made_at, body, again=again, reference=reference, until=self._deadline)
        while (found := self.gateway.get(f"{shown_at}/{made['id']}"))["status"] == "pending":
            self._wait(f"{made['id']} is still pending; does its clock stand still? See: payment-gateway clock show")
        return found

    def _events(self, reference: str) -> list[Json]:
        """The oldest first."""
        found: list[Json] = self.gateway.list("/v1/events", EVENTS_MAX, reference=reference)["data"]
        return found[::-1]

    def _delivered(self, events: list[Json]) -> list[Json]:
        """Each with its deliveries, once all that are due soon were tried: one may be held until another was."""
        while True:
            found: list[Json] = [{"event": event, "deliveries": self._deliveries(event["id"])} for event in events]
            sent = [(one["event"], delivery) for one in found for delivery in one["deliveries"]]
            if not _due_soon([delivery for _, delivery in sent]) and not _released_soon(sent):
                return found
            self._wait("not every delivery was tried yet")

    def _deliveries(self, event_id: str) -> list[Json]:
        found: list[Json] = self.gateway.list("/v1/deliveries", EVENTS_MAX, eventId=event_id)["data"]
        return found

    def _wait(self, otherwise: str) -> None:
        if monotonic() > self._deadline:
            raise LateError(f"{otherwise} ({self.timeout:g} s)")
        sleep(POLL_SECONDS)


def _due_soon(deliveries: list[Json]) -> bool:
    """Whether any was not tried yet although its time has come, or comes within a second, by the gateway's clock: as far as
    what it has recorded shows it.
    """
    seen = [time for one in deliveries for time in (one["createdAt"], *(attempt["at"] for attempt in one["attempts"]))]
    waiting = [one["nextAttemptAt"] for one in deliveries if one["state"] == "pending" and not one["attempts"]]
    if not waiting:
        return False
    return min(map(datetime.fromisoformat, waiting)) < max(map(datetime.fromisoformat, seen)) + timedelta(seconds=1)


def _released_soon(sent: list[tuple[Json, Json]]) -> bool:
    """Whether any delivery is held although the one that it waited for was tried: the gateway releases it a moment later.
    `sent` are events, the oldest first, each with a delivery.
    """
    tried = [(event, one) for event, one in sent if one["attempts"]]
    held = [(event, one) for event, one in sent if one["state"] == "pending" and not one["attempts"]]
    return any(_waits_for(*one, *other, sent) for one in held for other in tried)


def _waits_for(event: Json, held: Json, other: Json, tried: Json, sent: list[tuple[Json, Json]]) -> bool:
    """What is out of order waits for the endpoint's next event; a true amount, for the wrong one of the same object."""
    if held["endpointId"] != tried["endpointId"]:
        return False
    if held["fault"] == "out_of_order":
        places = [one["id"] for one, _ in sent]
        return places.index(other["id"]) > places.index(event["id"])
    same_object: bool = other["data"]["id"] == event["data"]["id"]
    return same_object and tried["fault"] == "wrong_amount"


def _show(terminal: Terminal, made: Json) -> None:
    lines: list[Text] = []
    for one in made["events"]:
        event, data = one["event"], one["event"]["data"]
        about = f"{data['amount']} {data['currency']}  {event['id']}  {data['id']}"
        lines.append(Text.assemble(Text(f"{event['type']:<17}", "bold"), f"  {about}"))
        lines += [_delivery_line(delivery) for delivery in one["deliveries"]]
        if not one["deliveries"]:
            terminal.say("no endpoint takes it: payment-gateway listen --forward-to URL, or endpoints add URL")
    terminal.result(made, *lines)


def _delivery_line(delivery: Json) -> Text:
    told = [f"({delivery['fault']})"] if delivery["fault"] else []
    told += [_attempt(one) for one in delivery["attempts"]]
    told += [f"next at {delivery['nextAttemptAt']}"] if delivery["nextAttemptAt"] else []
    return Text.assemble("  ", word(delivery["state"]), "  ", "  ".join([f"to {delivery['endpointId']}", *told]))


def _attempt(attempt: Json) -> str:
    forgery = f"{attempt['forgery']}: " if attempt["forgery"] else ""
    return f"{forgery}{attempt['status'] or attempt['error']} in {attempt['durationMs']} ms"
