"""An order's facts and status, written anew: small, slow and obvious."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias

from iso4217 import Currency

from shared.ids import derive_id
from shared.mongo import Document

CHARGE_GROWTH = {"pending": 0, "failed": 1, "succeeded": 2}
REFUND_GROWTH = {"requested": 0, "refused": 1, "succeeded": 2, "failed": 3}
DISPUTE_GROWTH = {"open": 0, "won": 1, "lost": 2}
ENDED = {"succeeded", "failed", "won", "lost"}  # what only an event can say
AUTOMATIC = {"cancelled", "duplicateCharge"}  # the causes of refunds that the service asks for by itself
BY_HAND = "provider"  # the cause of a refund that was made there


class Charge(NamedTuple):
    """`at` is when it succeeded, by the provider's clock."""

    state: str
    amount_minor: int
    failure_code: str | None
    reference: str
    at: datetime | None = None


class Refund(NamedTuple):
    """`made_at` is when the provider has made it, None as long as no event has told of it."""

    state: str
    amount_minor: int
    failure_code: str | None
    charge_id: str
    cause: str
    made_at: datetime | None = None


class Dispute(NamedTuple):
    state: str
    amount_minor: int
    charge_id: str


Fact: TypeAlias = Charge | Refund | Dispute


class Attempt(NamedTuple):
    """To pay. `in_vain`: nothing can come of it any more; `over`: its call is done."""

    reference: str
    in_vain: bool
    over: bool


class Facts(NamedTuple):
    """By the provider's ids, but for refunds that we asked for, which have ours. `amount_minor` is the order's."""

    amount_minor: int
    cancelled: bool
    attempts: Sequence[Attempt]
    charges: Mapping[str, Charge]
    refunds: Mapping[str, Refund]
    disputes: Mapping[str, Dispute]

    @property
    def all(self) -> dict[str, Fact]:
        return {**self.charges, **self.refunds, **self.disputes}

    @property
    def succeeded(self) -> dict[str, Charge]:
        return {one: charge for one, charge in self.charges.items() if charge.state == "succeeded"}


def growth(fact: Fact) -> tuple[bool, int]:
    """What the provider has told of a refund stands against whatever we asked, or a reply said."""
    match fact:
        case Charge(state=state):
            return True, CHARGE_GROWTH[state]
        case Refund(state=state, made_at=made_at):
            return made_at is not None, REFUND_GROWTH[state]
        case Dispute(state=state):
            return True, DISPUTE_GROWTH[state]


def fold(order: Document, facts: Iterable[tuple[str, Fact]]) -> Facts:
    """What is known of an order after all of `facts`, in whatever order they come and however often."""
    known: dict[str, Fact] = {}
    for fact_id, fact in facts:
        if fact_id not in known or growth(fact) > growth(known[fact_id]):
            known[fact_id] = fact
    return Facts(
        order["amount_minor"],
        order["cancelled_at"] is not None,
        attempts_of(order),
        {one: fact for one, fact in known.items() if isinstance(fact, Charge)},
        {one: fact for one, fact in known.items() if isinstance(fact, Refund)},
        {one: fact for one, fact in known.items() if isinstance(fact, Dispute)},
    )


def stored_facts(order: Document) -> Facts:
    """Those that the order itself has."""
    charges = {one["id"]: _stored_charge(order, one) for one in order["charges"]}
    refunds = {
        one["id"]: Refund(
            one["state"], one["amount_minor"], one["failure_code"], one["charge_id"], one["cause"], one["made_at"]
        )
        for one in order["refunds"]
    }
    disputes = {one["id"]: Dispute(one["state"], one["amount_minor"], one["charge_id"]) for one in order["disputes"]}
    cancelled = order["cancelled_at"] is not None
    return Facts(order["amount_minor"], cancelled, attempts_of(order), charges, refunds, disputes)


def _stored_charge(order: Document, charge: Document) -> Charge:
    at = charge["at"] if charge["state"] == "succeeded" else None
    reference = charge["reference"] or order["_id"]
    return Charge(charge["state"], charge["amount_minor"], charge["failure_code"], reference, at)


def attempts_of(order: Document) -> list[Attempt]:
    return [
        Attempt(call["reference"], call["state"] == "void" or call["refused_code"] is not None, call["state"] == "done")
        for call in order["calls"]
        if call["kind"] == "charge"
    ]


def told_by(event: Document, causes: Mapping[str, str]) -> tuple[str, Fact] | None:
    """The fact that an event's own bytes state, by the id that it is about; None if they state none. `causes` are those of
    the refunds that we asked for, by their ids: any other was made by hand.
    """
    told = decoded(event["raw"])
    data = told.get("data")
    if not isinstance(data, dict):
        return None
    match str(told.get("type")).partition("."):
        case "payment", _, ("succeeded" | "failed") as state:
            at = _time(data.get("settledAt") or told["timestamp"]) if state == "succeeded" else None
            return data["id"], Charge(state, data["amount"], data["failureCode"], data["reference"], at)
        case "refund", _, ("succeeded" | "failed") as state:
            ours = causes.get(data["reference"])
            refund_id = data["reference"] if ours else by_hand_id(data["id"])
            made_at = _time(data["createdAt"])
            fact = Refund(state, data["amount"], data["failureCode"], data["chargeId"], ours or BY_HAND, made_at)
            return refund_id, fact
        case "dispute", _, "created" | "closed":
            return data["id"], Dispute(data["status"], data["amount"], data["chargeId"])
    return None


def causes_of(order: Document) -> dict[str, str]:
    """Of the refunds that we asked for, by their ids."""
    return {one["id"]: one["cause"] for one in order["refunds"] if one["cause"] != BY_HAND}


def by_hand_id(provider_id: str) -> str:
    """What a refund that was made at the provider is known by."""
    return derive_id("rf", provider_id)


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


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
