"""One event that `trigger` makes: from the charge, over its refund or dispute, to the deliveries."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic, sleep
from uuid import uuid4

from payment_gateway.cli.client import Gateway, Json
from payment_gateway.cli.terminal import LateError, Terminal

POLL_SECONDS = 0.05
EVENTS_MAX = 100
DISPUTES_MAX = 100  # a charge has no more
AMOUNT, CURRENCY = 1000, "USD"  # of a new charge, in minor units


@dataclass(frozen=True)
class Asked:
    """The options of `trigger`. `scenario` is for the thing that the event is about, `charge_scenario` for the charge under
    a refund. `outcome` is how a dispute closes.
    """

    event_type: str
    scenario: Json
    charge_scenario: Json | None
    amount: int | None
    currency: str | None
    payment_method: str | None
    reference: str | None
    metadata: tuple[tuple[str, str], ...]
    charge_id: str | None
    refund_amount: int | None
    dispute_amount: int | None
    outcome: str

    @property
    def refunds(self) -> bool:
        return self.event_type.startswith("refund.")

    @property
    def disputes(self) -> bool:
        return self.event_type.startswith("dispute.")

    def fault(self) -> str | None:
        """Why these options contradict each other, or None."""
        of_the_charge = ("amount", "currency", "payment_method", "reference", "metadata", "charge_scenario")
        given = [name for name in of_the_charge if getattr(self, name)]
        if self.charge_id and not (self.refunds or self.disputes):
            return f"--charge is for refund.* and dispute.*; a {self.event_type} is about a new charge"
        if self.charge_id and given:
            return f"--charge takes a charge that is there, so there is no --{given[0].replace('_', '-')} to choose"
        if self.refund_amount and not self.refunds:
            return f"--refund-amount is for refund.*, not for {self.event_type}"
        if self.dispute_amount and not self.disputes:
            return f"--dispute-amount is for dispute.*, not for {self.event_type}"
        return None


class OneEvent:
    """Makes one event and waits for its deliveries, at most `timeout` seconds. Raises LateError, and what Gateway raises."""

    def __init__(self, gateway: Gateway, terminal: Terminal, asked: Asked, timeout: int) -> None:
        self.gateway = gateway
        self.terminal = terminal
        self.asked = asked
        self.timeout = timeout
        self._deadline = monotonic() + timeout

    def play(self) -> Json:
        charge, refund, dispute = None, None, None
        if self.asked.charge_id:
            charge = self.gateway.get(f"/v1/charges/{self.asked.charge_id}")
        reference = charge["reference"] if charge else self.asked.reference or f"cli-{uuid4().hex[:12]}"
        before = {event["id"] for event in self._events(reference)}
        charge = charge or self._charge(reference)
        if self.asked.refunds:
            refund = self._refund(charge)
        if self.asked.disputes:
            dispute = self._dispute(charge)
        made = [event for event in self._events(reference) if event["id"] not in before]
        return {"charge": charge, "refund": refund, "dispute": dispute, "events": self._delivered(made)}

    def _charge(self, reference: str) -> Json:
        scenario = (self.asked.charge_scenario or {}) if self.asked.refunds else self.asked.scenario
        method = self.asked.payment_method
        if method is None:
            method = "pm_card_declined" if self.asked.event_type == "payment.failed" else "pm_card_visa"
            scenario = {"settleDelaySeconds": 0, **scenario}
        body = {
            "amount": self.asked.amount or AMOUNT,
            "currency": self.asked.currency or CURRENCY,
            "reference": reference,
            "paymentMethod": method,
            "metadata": dict(self.asked.metadata),
            "scenario": scenario,
        }
        return self._settled("/v1/charges", "/v1/charges", body)

    def _refund(self, charge: Json) -> Json:
        fails = {"failureCode": "refused"} if self.asked.event_type == "refund.failed" else {}
        left = charge["amount"] - charge["amountRefunded"]
        body = {
            "amount": self.asked.refund_amount or max(left, 1),  # if nothing is left, the gateway explains that best
            "reference": f"refund-{uuid4().hex[:12]}",
            "scenario": {"settleDelaySeconds": 0, **fails, **self.asked.scenario},
        }
        return self._settled(f"/v1/charges/{charge['id']}/refunds", "/v1/refunds", body)

    def _dispute(self, charge: Json) -> Json:
        closes = self.asked.event_type == "dispute.closed"
        opened = self._open_dispute(charge) if closes and self.asked.charge_id else None
        if opened is None:
            body = {"amount": self.asked.dispute_amount} if self.asked.dispute_amount else {}
            opened = self.gateway.call("POST", f"/v1/test/charges/{charge['id']}/dispute", body)
        if not closes:
            return opened
        return self.gateway.call("POST", f"/v1/test/disputes/{opened['id']}/close", {"outcome": self.asked.outcome})

    def _open_dispute(self, charge: Json) -> Json | None:
        found: list[Json] = self.gateway.list("/v1/disputes", DISPUTES_MAX, reference=charge["reference"])["data"]
        return next((one for one in found if one["chargeId"] == charge["id"] and one["status"] == "open"), None)

    def _settled(self, made_at: str, shown_at: str, body: Json) -> Json:
        again, reference = self.terminal.say, body["reference"]
        made = self.gateway.create(made_at, body, again=again, reference=reference, until=self._deadline)
        while (found := self.gateway.get(f"{shown_at}/{made['id']}"))["status"] == "pending":
            self._wait(f"{made['id']} is still pending; does its clock stand still? See: payment-gateway clock show")
        return found

    def _events(self, reference: str) -> list[Json]:
        """The events, oldest first."""
        found: list[Json] = self.gateway.list("/v1/events", EVENTS_MAX, reference=reference)["data"]
        return found[::-1]

    def _delivered(self, events: list[Json]) -> list[Json]:
        """Each event with its deliveries, once all deliveries due soon were tried: one may be held until another was."""
        while True:
            found: list[Json] = [{"event": event, "deliveries": self._deliveries(event["id"])} for event in events]
            sent = [(one["event"], delivery) for one in found for delivery in one["deliveries"]]
            if not _due_soon([delivery for _, delivery in sent]) and not _released_soon(sent):
                return found
            self._wait("not every delivery has been tried yet")

    def _deliveries(self, event_id: str) -> list[Json]:
        found: list[Json] = self.gateway.list("/v1/deliveries", EVENTS_MAX, eventId=event_id)["data"]
        return found

    def _wait(self, otherwise: str) -> None:
        if monotonic() > self._deadline:
            raise LateError(f"{otherwise} ({self.timeout:g} s)")
        sleep(POLL_SECONDS)


def _due_soon(deliveries: list[Json]) -> bool:
    """Whether a delivery has not been tried although it is due, or will be within a second of the gateway's clock, as far as
    the recorded times show.
    """
    seen = [time for one in deliveries for time in (one["createdAt"], *(attempt["at"] for attempt in one["attempts"]))]
    waiting = [one["nextAttemptAt"] for one in deliveries if one["state"] == "pending" and not one["attempts"]]
    if not waiting:
        return False
    return min(map(datetime.fromisoformat, waiting)) < max(map(datetime.fromisoformat, seen)) + timedelta(seconds=1)


def _released_soon(sent: list[tuple[Json, Json]]) -> bool:
    """Whether a delivery is still held although the one that it waited for was tried: the gateway releases it soon. `sent`
    has events, oldest first, each with a delivery.
    """
    tried = [(event, one) for event, one in sent if one["attempts"]]
    held = [(event, one) for event, one in sent if one["state"] == "pending" and not one["attempts"]]
    return any(_waits_for(*one, *other, sent) for one in held for other in tried)


def _waits_for(event: Json, held: Json, other: Json, tried: Json, sent: list[tuple[Json, Json]]) -> bool:
    """Whether `held` waits for `tried`: out of order for the endpoint's next event, or the true amount for the wrong one."""
    if held["endpointId"] != tried["endpointId"]:
        return False
    if held["fault"] == "out_of_order":
        places = [one["id"] for one, _ in sent]
        return places.index(other["id"]) > places.index(event["id"])
    same_object: bool = other["data"]["id"] == event["data"]["id"]
    return same_object and tried["fault"] == "wrong_amount"
