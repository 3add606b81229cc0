"""Whether every write was one that may be made: a compare-and-set, or a total one. Invariant 5 rests on it."""

from shared.mongo import Document
from tools.chaos.evidence import Evidence
from tools.chaos.invariants.finding import Finding, Findings
from tools.chaos.watcher import Change

# Collections whose documents count their writes.
VERSIONED = frozenset({"orders", "payment_events", "charges", "webhook_endpoints"})
FIRST = (0, 1)
ONCE = {  # what is written once and never changes
    "orders": (
        *("merchant", "order_number", "amount_minor", "currency", "exponent", "payment_method", "metadata"),
        *("trace", "created_at"),
    ),
    "charges": ("merchant", "amount", "currency", "reference", "payment_method", "metadata", "scenario", "created_at"),
}


def every_write_counts(evidence: Evidence) -> Findings:
    """By one, so that no write was made over another that its writer had not seen."""
    if evidence.transactions:
        yield Finding(f"{evidence.transactions:,} multi-document transactions were begun, and nothing needs one")
    for change in evidence.changes:
        if change.collection in VERSIONED:
            for wrong in _wrong_with(change):
                yield Finding(f"{change.id} of {change.collection} at {change.at:%H:%M:%S.%f}: {wrong}", of(change))


def of(change: Change) -> str | None:
    """The order that a change is about."""
    if change.collection == "orders":
        return change.id
    version = change.after or change.before or {}
    return version.get("order_id") or version.get("reference")


def _wrong_with(change: Change) -> list[str]:
    before, after = change.before, change.after
    if after is None:
        return ["it was deleted"] if before is not None else []
    if before is None:
        return [] if after["version"] in FIRST else [f"it was made with the version {after['version']}"]
    wrong = [f"its {name} changed" for name in ONCE.get(change.collection, ()) if before.get(name) != after.get(name)]
    if after["version"] != before["version"] + 1:
        wrong.append(f"its version went from {before['version']} to {after['version']}")
    if after["writer"] == before["writer"]:
        wrong.append("it was written by who had written it before, whose mark can tell the two apart no more")
    return [*wrong, *_wrong_with_keys(change, before.get("keys", []), after.get("keys", []))]


def _wrong_with_keys(change: Change, before: list[Document], after: list[Document]) -> list[str]:
    """An idempotency key stays as it is until it has expired."""
    return [
        f"the key {key['value']} was changed or taken off before it had expired"
        for key in before
        if key not in after and key["expires_at"] > change.at
    ]
