"""How to corrupt a run, and to say what that violates."""

from collections.abc import Callable
from typing import Any, TypeAlias

from shared.mongo import Document
from tests.unit.tools.chaos.examples import START, message_id
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
    run.stored_events.append(event)
    run.changes.append(Change(collection="payment_events", id=event["_id"], at=START, before=None, after=event))


def overlook(run: Evidence, collection: str) -> None:
    """The watcher saw no write to it."""
    run.changes = [change for change in run.changes if change.collection != collection]


def order_of(run: Evidence, order_id: str) -> Document:
    return pick(run.orders, _id=order_id)


def message_of(run: Evidence, order_id: str) -> Document:
    return pick(run.messages, _id=message_id(order_id))


def operation_on(run: Evidence, kind: str, order_id: str, number: int = 0) -> Operation:
    return [one for one in run.operations if (one.kind, one.order_id) == (kind, order_id)][number]


def copy_of(operation: Operation, **fields: Any) -> Operation:
    copied = {name: getattr(operation, name) for name in Operation.__struct_fields__}
    return Operation(**{**copied, **fields})


def attempt_like(operation: Operation, **fields: Any) -> Any:
    first = operation.attempts[0]
    return type(first)(**{**{name: getattr(first, name) for name in first.__struct_fields__}, **fields})
