"""Whether the change stream has shown everything. Invariants 5 to 7 and 17 rest on it: what is not seen cannot be judged."""

from collections import defaultdict
from collections.abc import Iterable

from shared.mongo import Document
from tools.chaos.evidence import Evidence
from tools.chaos.invariants.finding import Finding, Findings


def every_write_was_seen(evidence: Evidence, collection: str, documents: Iterable[Document]) -> Findings:
    """Each of `documents` is as a write has left it that was seen, and of every write it is known what there was before."""
    versions: dict[str, list[Document]] = defaultdict(list)
    for change in evidence.changes:
        if change.collection != collection:
            continue
        if change.after is not None:
            versions[change.id].append(change.after)
        elif change.before is None:
            yield Finding(f"{change.id} of {collection} was changed, and nobody saw what it was before")
    for document in documents:
        seen = reversed(versions[document["_id"]])  # it may have been written to since it was read
        if not any(version == document for version in seen):
            order_id = (
                document["_id"] if collection == "orders" else document.get("order_id") or document.get("reference")
            )
            yield Finding(f"{document['_id']} of {collection} is as no write that was seen has left it", order_id)
