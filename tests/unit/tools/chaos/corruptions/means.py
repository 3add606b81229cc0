"""How to corrupt a run, and to say what that violates."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, TypeAlias

from shared.mongo import Document
from tests.unit.tools.chaos.run_by_hand import START, message_id
from tools.chaos.evidence import Evidence
from tools.chaos.history import Operation
from tools.chaos.watcher import Change

Corruption: TypeAlias = Callable[[Evidence], None]
CORRUPTIONS: list[tuple[set[int], Corruption]] = []


def violates(*numbers: int) -> Callable[[Corruption], Corruption]:
    """Notes what the function that follows makes of a run in which all is well."""

    def note(corruption: Corruption) -> Corruption:
        CORRUPTIONS.append((set(numbers), corruption))
        return corruption

    return note


def pick(documents: list[Document], **fields: Any) -> Document:
    return next(one for one in documents if all(one.get(name) == value for name, value in fields.items()))


def store(run: Evidence, event: Document) -> None:
    """As order_api does, before the eyes of the watcher."""
    event = {**event, "version": 1}
    run.stored_events.append(event)
    run.changes.append(Change(collection="payment_events", id=event["_id"], at=START, before=None, after=event))


def write(run: Evidence, order_id: str, was: Document, **fields: Any) -> Change:
    """One more write to an order, by the rules but for `fields`, after which it is as it is: from what `was` made of it,
    which it may never have been.
    """
    before = {**order_of(run, order_id), **was}
    after = {**before, "version": before["version"] + 1, "writer": before["writer"] + 1, **fields}
    change = Change(collection="orders", id=order_id, at=START, before=before, after=after)
    run.changes.append(change)
    return change


def write_to_call(run: Evidence, order_id: str, was: Document, **fields: Any) -> None:
    """The same for the call that charges an order."""
    [call, *others] = order_of(run, order_id)["calls"]
    before = {**call, **was}
    after = {**before, **fields}
    calls = [after, *others]
    write(run, order_id, {"calls": [before, *others]}, calls=calls, due_at=least_due(calls))


def least_due(calls: list[Document]) -> datetime | None:
    return min((call["due_at"] for call in calls if call["state"] == "open"), default=None)


def versions(run: Evidence, order_id: str) -> Iterator[Document]:
    """All of an order that were seen, and how it stands."""
    for change in run.changes:
        if change.id == order_id:
            yield from (one for one in (change.before, change.after) if one is not None)


def overlook(run: Evidence, collection: str) -> None:
    """The watcher saw no write to it."""
    run.changes = [change for change in run.changes if change.collection != collection]


def order_of(run: Evidence, order_id: str) -> Document:
    return pick(run.orders, _id=order_id)


def message_of(run: Evidence, order_id: str) -> Document:
    return pick(order_of(run, order_id)["calls"], id=message_id(order_id))


def key_of(run: Evidence, order_id: str, number: int = 0) -> Document:
    key: Document = order_of(run, order_id)["keys"][number]
    return key


def operation_on(run: Evidence, kind: str, order_id: str, number: int = 0) -> Operation:
    return [one for one in run.operations if (one.kind, one.order_id) == (kind, order_id)][number]


def copy_of(operation: Operation, **fields: Any) -> Operation:
    copied = {name: getattr(operation, name) for name in Operation.__struct_fields__}
    return Operation(**{**copied, **fields})


def attempt_like(operation: Operation, **fields: Any) -> Any:
    first = operation.attempts[0]
    return type(first)(**{**{name: getattr(first, name) for name in first.__struct_fields__}, **fields})
