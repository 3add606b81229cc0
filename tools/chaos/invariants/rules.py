"""An order's facts and status, written anew: small, slow and obvious."""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from iso4217 import Currency

from shared.mongo import Document

CHARGE_GROWTH = {"pending": 0, "failed": 1, "succeeded": 2}
REFUND_GROWTH = {"requested": 0, "succeeded": 1, "failed": 2}
AUTOMATIC_REFUNDS_MAX = 5  # of one charge: after so many failures a person must look


class Charge(NamedTuple):
    state: str
    amount_minor: int
    failure_code: str | None


class Refund(NamedTuple):
    state: str
    amount_minor: int
    failure_code: str | None
    charge_id: str


class Facts(NamedTuple):
    """By the provider's charge id, and by our refund id."""

    charges: Mapping[str, Charge]
    refunds: Mapping[str, Refund]
    cancelled: bool

    @property
    def kept(self) -> str | None:
        """The charge that the merchant keeps unless the order is cancelled: of those that succeeded, the earliest."""
        return min((one for one, charge in self.charges.items() if charge.state == "succeeded"), default=None)

    @property
    def status(self) -> str:
        if self.cancelled:
            return "Cancelled"
        if self.kept is None:
            return "Failed" if any(charge.state == "failed" for charge in self.charges.values()) else "Pending"
        refunded = sum(
            refund.amount_minor
            for refund in self.refunds.values()
            if (refund.charge_id, refund.state) == (self.kept, "succeeded")
        )
        if refunded == 0:
            return "Paid"
        return "Refunded" if refunded >= self.charges[self.kept].amount_minor else "PartiallyRefunded"


def fold(facts: Iterable[tuple[str, Charge | Refund]], *, cancelled: bool) -> Facts:
    """What is known after all of `facts`, in whatever order they come and however often."""
    charges: dict[str, Charge] = {}
    refunds: dict[str, Refund] = {}
    for fact_id, fact in facts:
        if isinstance(fact, Charge):
            known = charges.get(fact_id)
            if known is None or CHARGE_GROWTH[fact.state] > CHARGE_GROWTH[known.state]:
                charges[fact_id] = fact
        else:
            asked = refunds.get(fact_id)
            if asked is None or REFUND_GROWTH[fact.state] > REFUND_GROWTH[asked.state]:
                refunds[fact_id] = fact
    return Facts(charges, refunds, cancelled)


def stored_facts(order: Document) -> Facts:
    """Those that the order itself has."""
    return Facts(
        {one["id"]: Charge(one["state"], one["amount_minor"], one["failure_code"]) for one in order["charges"]},
        {
            one["id"]: Refund(one["state"], one["amount_minor"], one["failure_code"], one["charge_id"])
            for one in order["refunds"]
        },
        order["cancelled_at"] is not None,
    )


def told_by(event: Document) -> tuple[str, Charge | Refund] | None:
    """The fact that an event's own bytes state, by the id that it is about; None if they state none."""
    told = decoded(event["raw"])
    noun, _, state = str(told.get("type")).partition(".")
    data = told.get("data")
    if state not in {"succeeded", "failed"} or not isinstance(data, dict):
        return None
    if noun == "payment":
        return data["id"], Charge(state, data["amount"], data["failureCode"])
    if noun == "refund":
        return data["reference"], Refund(state, data["amount"], data["failureCode"], data["chargeId"])
    return None


def decoded(raw: str | bytes) -> dict[str, Any]:
    """A JSON object with exact numbers; an empty one if it is something else."""
    try:
        value = json.loads(raw, parse_float=Decimal)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def minor(major: Decimal | int | str, currency: str) -> int:
    return int(Decimal(major).scaleb(Currency(currency).exponent or 0))


def death_notice(message: Document) -> tuple[str, str]:
    """Code and event id of the review that says that this message is dead: another after each redrive."""
    redrives = message["redrives"]
    return "dead-letter", f"{message['id']}~{redrives}" if redrives else message["id"]


def base_id(event_id: str) -> str:
    """Of a stored event: other bytes under the same id are kept beside it, under the id and a digest."""
    return event_id.partition("~")[0]
