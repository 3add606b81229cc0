"""What must be true of every order, whoever died when."""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any, Literal

from order_api.order import order_of
from shared.mongo import Collection, Database, Document

Life = Literal["paid", "refunded", "doubled", "cancelled", "paid again"]

# Nothing else may ever be seen of an order that lives so. One that is doubled is charged by somebody else as well; one that
# is cancelled or paid again has a card that was declined.
STATUSES: Mapping[Life, tuple[str, ...]] = {
    "paid": ("Pending", "Paid"),
    "refunded": ("Pending", "Paid", "Refunded"),
    "doubled": ("Pending", "Paid"),
    "cancelled": ("Pending", "Failed", "Cancelled"),
    "paid again": ("Pending", "Failed", "Pending", "Paid"),
}
_EVENTS: Mapping[Life, tuple[str, ...]] = {
    "paid": ("payment.succeeded",),
    "refunded": ("payment.succeeded", "refund.succeeded"),
    "doubled": ("payment.succeeded", "payment.succeeded", "refund.succeeded"),
    "cancelled": ("payment.failed",),
    "paid again": ("payment.failed", "payment.succeeded"),
}
_CALLS: Mapping[Life, tuple[str, ...]] = {
    "paid": ("charge",),
    "refunded": ("charge", "refund"),
    "doubled": ("charge", "refund"),
    "cancelled": ("charge",),
    "paid again": ("charge", "charge"),
}


async def check(orders: Database, gateway: Database, lives: Mapping[str, Life], answers: Mapping[str, bytes]) -> None:
    """Each order is there once, with each answer under its key; each of its calls is done, and the provider has the
    charges and refunds of such a life for it, each with one event, delivered, received and applied once. Nothing else is
    there, and nobody has to look at anything.

    `lives` are the orders by number; `answers` are what clients were told, by Idempotency-Key.
    """
    placed = await _all(orders["orders"])
    charges = await _all(gateway["charges"])
    refunds = [
        {**one, "_id": one["id"], "charge_reference": of["reference"]} for of in charges for one in of["refunds"]
    ]
    events = await _all(gateway["events"])
    ids = {one["order_number"]: one["_id"] for one in placed}

    def of_each(what: Mapping[Life, Iterable[str]]) -> Iterator[tuple[str, str]]:
        return ((ids[number], each) for number, life in lives.items() for each in what[life])

    _same("orders", (one["order_number"] for one in placed), list(lives))
    told = ((key, answer.decode()) for key, answer in answers.items())
    _same("answers", ((key["value"], key["body"]) for one in placed for key in one["keys"]), told)
    calls = [(one["_id"], call["kind"], call["state"], call["claim"]) for one in placed for call in one["calls"]]
    _same("calls", calls, ((order_id, kind, "done", None) for order_id, kind in of_each(_CALLS)))
    _same("due", (one["_id"] for one in placed if one["due_at"] is not None), ())
    at_the_provider = (key["of"] for one in charges for key in one["keys"])
    _same("the provider's keys", at_the_provider, (one["_id"] for one in [*charges, *refunds]))
    left = (mark["id"] for one in charges for mark in one["announce"])
    _same("marks of what is not announced", left, ())
    _same("events", ((_about(one, refunds), one["type"]) for one in events), of_each(_EVENTS))
    delivered = ((one["event_id"], one["state"]) for one in await _all(gateway["deliveries"]))
    _same("deliveries", delivered, ((one["_id"], "delivered") for one in events))
    received = ((one["_id"], one["raw"], one["outcome"]) for one in await _all(orders["payment_events"]))
    _same("events received", received, ((one["_id"], one["raw"], "applied") for one in events))
    facts = ((one["order_number"], _statuses(one), _money(one), len(one["reviews"])) for one in placed)
    books = {number: _book(one, charges, refunds) for number, one in ids.items()}
    _same("facts", facts, ((number, STATUSES[life], books[number], 0) for number, life in lives.items()))


def _about(event: Document, refunds: Iterable[Document]) -> str:
    """The order that an event is about; one of a refund may name that instead."""
    named = {one["_id"]: one["charge_reference"] for one in refunds}
    return order_of(str(named.get(event["object_id"], event["reference"])))


def _statuses(order: Document) -> tuple[str, ...]:
    return tuple(change["status"] for change in order["history"])


def _money(order: Document) -> tuple[Any, ...]:
    return (
        tuple((one["id"], one["state"], one["amount_minor"]) for one in order["charges"]),
        tuple((one["id"], one["state"], one["amount_minor"]) for one in order["refunds"]),
    )


def _book(order_id: str, charges: Iterable[Document], refunds: Iterable[Document]) -> tuple[Any, ...]:
    """The same as the provider has it."""
    return (
        tuple((one["_id"], one["status"], one["amount"]) for one in charges if order_of(one["reference"]) == order_id),
        tuple(
            (one["reference"], one["status"], one["amount"])
            for one in refunds
            if order_of(one["charge_reference"]) == order_id
        ),
    )


def _same(what: str, found: Iterable[Hashable], wanted: Iterable[Hashable]) -> None:
    there, due = Counter(found), Counter(wanted)
    assert there == due, f"{what}: missing {list(due - there)}, not to be there {list(there - due)}"


async def _all(collection: Collection) -> list[Document]:
    return await collection.find().to_list()
