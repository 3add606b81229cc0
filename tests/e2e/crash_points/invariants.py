"""What must be true of every order that was placed, whoever died when."""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping

from shared.mongo import Collection, Database, Document


async def check(orders: Database, gateway: Database, answers: Mapping[str, bytes], numbers: Iterable[str]) -> None:
    """Each order number there once, under its key and with its first answer; one message, one charge, one event, one
    delivery for each; each event received, applied once and to the order that it is about; nothing left to do.

    `answers` are what the client was told, by Idempotency-Key.
    """
    placed = await _all(orders["orders"])
    keys = await _all(orders["idempotency_keys"])
    charges = await _all(gateway["charges"])
    events = await _all(gateway["events"])
    ids = [one["_id"] for one in placed]
    charged = {one["reference"]: one["_id"] for one in charges}

    _same("orders", (one["order_number"] for one in placed), numbers)
    _same("keys", (one["resource_id"] for one in keys), ids)
    told = {f"default:{key}": answer.decode() for key, answer in answers.items()}
    _same("answers", ((one["_id"], one["body"]) for one in keys), told.items())
    _same("messages", ((one["order_id"], one["state"]) for one in await _all(orders["outbox"])), _each(ids, "done"))
    _same("charges", ((one["reference"], one["status"]) for one in charges), _each(ids, "succeeded"))
    _same(
        "the provider's keys", (one["resource_id"] for one in await _all(gateway["idempotency_keys"])), charged.values()
    )
    _same("events", (one["reference"] for one in events), ids)
    _same(
        "deliveries",
        ((one["event_id"], one["state"]) for one in await _all(gateway["deliveries"])),
        _each((one["_id"] for one in events), "delivered"),
    )
    _same(
        "events received",
        ((one["_id"], one["raw"], one["outcome"]) for one in await _all(orders["payment_events"])),
        ((one["_id"], one["raw"], "applied") for one in events),
    )
    _same(
        "facts",
        ((one["_id"], _statuses(one), _charges(one), len(one["reviews"])) for one in placed),
        ((one, ("Pending", "Paid"), ((charged[one], "succeeded"),), 0) for one in ids),
    )


def _statuses(order: Document) -> tuple[str, ...]:
    return tuple(change["status"] for change in order["history"])


def _charges(order: Document) -> tuple[tuple[str, str], ...]:
    return tuple((charge["id"], charge["state"]) for charge in order["charges"])


def _each(ids: Iterable[str], state: str) -> Iterable[tuple[str, str]]:
    return ((one, state) for one in ids)


def _same(what: str, found: Iterable[Hashable], wanted: Iterable[Hashable]) -> None:
    there, due = Counter(found), Counter(wanted)
    assert there == due, f"{what}: missing {list(due - there)}, not to be there {list(there - due)}"


async def _all(collection: Collection) -> list[Document]:
    return await collection.find().to_list()
