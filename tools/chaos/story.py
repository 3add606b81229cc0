"""One order's whole story from both sides, in the order of time: what clients saw, what was written, what was said."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from shared.mongo import Document
from tools.chaos.evidence import Evidence, order_of
from tools.chaos.history import Operation
from tools.chaos.watcher import Change

LINE_LENGTH_MAX = 400
LOG_LINES_MAX = 300
# Fields that say nothing which other fields of the same write, or its time, do not say.
_DULL = {
    *("_id", "updated_at", "created_at", "at", "ms", "history", "keys", "trace", "writer", "received_at"),
    *("reconcile_at", "reconcile_attempts", "path", "body", "metadata"),
}


class Moment(NamedTuple):
    at: datetime
    who: str
    what: str


def story(evidence: Evidence, order_id: str) -> str:
    """Yields a line for each moment. The clocks of one machine agree, unless one was moved on purpose."""
    moments = [
        *_asked(evidence.operations_on.get(order_id, []), evidence),
        *_written(evidence, order_id),
        *_at_the_provider(evidence, order_id),
        *_logged(evidence.logs, _ids(evidence, order_id)),
    ]
    return "\n".join(
        f"{moment.at:%H:%M:%S}.{moment.at.microsecond // 1000:03}  {moment.who:<18}  {_short(moment.what)}"
        for moment in sorted(moments, key=lambda moment: moment.at)
    )


def _asked(operations: Iterable[Operation], evidence: Evidence) -> Iterator[Moment]:
    keys = {(operation.merchant, operation.key) for operation in operations if operation.key}
    with_them = [one for one in evidence.operations if one in operations or (one.merchant, one.key) in keys]
    for operation in with_them:
        if _is_dull(operation):
            continue
        about = " ".join(f"{name}={value}" for name, value in operation.command.items() if name != "raw")
        for number, attempt in enumerate(operation.attempts, 1):
            ended = operation.at + attempt.began - operation.began + attempt.seconds
            answer = attempt.error or f"{attempt.status}{' replayed' if attempt.replayed else ''}"
            body = attempt.body.decode(errors="replace")
            yield Moment(
                datetime.fromtimestamp(ended, UTC),
                operation.client,
                f"{operation.kind} {operation.number}.{number} key={operation.key} {about} at {attempt.url} "
                f"-> {answer} after {attempt.seconds:.3f} s {body}",
            )


def _is_dull(operation: Operation) -> bool:
    """Whether a client only looked, and saw what else is in the story."""
    return operation.kind in {"read", "list"} and [attempt.status for attempt in operation.attempts] == [200]


def _written(evidence: Evidence, order_id: str) -> Iterator[Moment]:
    for change in evidence.changes:
        version = change.after or change.before or {}
        if order_id in {change.id, version.get("order_id")}:
            yield Moment(change.at, change.collection, f"{change.id}: {_difference(change)}")


def _difference(change: Change) -> str:
    if change.after is None:
        return "deleted"
    before, after = dict(_leaves(change.before or {})), dict(_leaves(change.after))
    changed = [name for name, value in after.items() if before.get(name) != value]
    if change.before is None:
        return ", ".join(f"{name} {_json(after[name])}" for name in changed if after[name])
    version = f"{before.get('version')} -> {after.get('version')}"
    told = [f"{name} {_json(before.get(name))} -> {_json(after[name])}" for name in changed if name != "version"]
    return f"version {version}: {', '.join(told) or 'touched'}"


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value by its path, such as `calls.0.state`."""
    if isinstance(value, dict | list):
        named = value.items() if isinstance(value, dict) else ((str(place), one) for place, one in enumerate(value))
        for name, one in named:
            if name not in _DULL:
                yield from _leaves(one, f"{path}.{name}" if path else name)
    else:
        yield path, value


def _at_the_provider(evidence: Evidence, order_id: str) -> Iterator[Moment]:
    charges, refunds = evidence.charges_of.get(order_id, []), evidence.refunds_of.get(order_id, [])
    for one in (*charges, *refunds):
        yield Moment(one["created_at"], "provider", f"took {one['_id']}: {one['amount']} {one['currency']}")
        if one["settled_at"]:
            yield Moment(one["settled_at"], "provider", f"{one['_id']} has {one['status']} {one['failure_code'] or ''}")
    for dispute in (one for charge in charges for one in charge["disputes"] if one["created_at"]):
        about = f"{dispute['amount']} {dispute['status']}"
        yield Moment(dispute["created_at"], "provider", f"dispute {dispute['id']} opened: {about} in the end")
    events = {one["_id"] for one in evidence.provider_events if order_of(one["reference"] or "") == order_id}
    for delivery in evidence.provider_deliveries:
        if delivery["event_id"] not in events:
            continue
        yield Moment(
            delivery["created_at"],
            "provider",
            f"is to deliver {delivery['event_id']}, fault: {delivery['fault'] or 'none'}; ended {delivery['state']}",
        )
        for attempt in delivery["attempts"]:
            answer = attempt["error"] or f"{attempt['status']} {attempt['response_body']}"
            sent = f"{attempt['forgery'] or 'true'} attempt {attempt['number']}"
            yield Moment(attempt["at"], "provider", f"delivers {delivery['event_id']}, {sent} -> {answer}")


def _ids(evidence: Evidence, order_id: str) -> set[str]:
    """What a log line may name instead of the order."""
    facts: list[Document] = [*evidence.charges_of.get(order_id, []), *evidence.refunds_of.get(order_id, [])]
    messages, events = evidence.messages_of.get(order_id, []), evidence.events_of.get(order_id, [])
    operations = [
        f'"chaos-{operation.number}-'
        for operation in evidence.operations_on.get(order_id, [])
        if not _is_dull(operation)
    ]
    calls = [message["id"] for message in messages]
    return {order_id, *calls, *(one["_id"] for one in (*facts, *events)), *operations}


def _logged(logs: Iterable[Path], ids: set[str]) -> Iterator[Moment]:
    left = LOG_LINES_MAX
    for path in logs:
        if not path.exists():
            continue
        for line in path.read_text(errors="replace").splitlines():
            if left and any(one in line for one in ids) and (moment := _line(path.stem, line)):
                left -= 1
                yield moment


def _line(name: str, line: str) -> Moment | None:
    try:
        said = json.loads(line)
        at = datetime.fromisoformat(said.pop("timestamp"))
    except (ValueError, KeyError, AttributeError):
        return None
    event = said.pop("event", "")
    if (event, said.get("method"), said.get("status")) == ("request", "GET", 200):
        return None
    about = " ".join(f"{key}={_json(value)}" for key, value in said.items() if key not in {"service", "level"})
    return Moment(at, name, f"{event}: {about}")


def _json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LINE_LENGTH_MAX else f"{text[:LINE_LENGTH_MAX]} …"
