"""Whether the provider has told what it did, once and in order. Invariants 16 and 17.

What has ended leaves a mark in its document, with the event's bytes and who is to hear of it, until it is announced. A
charge without `announce` is of the layout before marks, and is not judged here.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from functools import partial

from shared.mongo import Document
from tools.chaos.evidence import Evidence
from tools.chaos.invariants.finding import Finding, Findings
from tools.chaos.invariants.seen import every_write_was_seen
from tools.chaos.watcher import Change

MARKED = ("charges", "webhook_endpoints")  # collections whose documents have marks
WRONG_AMOUNT = "wrong_amount"


def what_has_ended_was_told(evidence: Evidence) -> Findings:
    """16. By one event for each charge and refund that has ended, and another where a wrong amount was asked for, each with
    the bytes of its mark; with a delivery to each endpoint that the mark names, and to others only where somebody has asked
    for it again; and no event or delivery is of anything else.
    """
    charges = [charge for charge in evidence.provider_charges if "announce" in charge]
    if not charges:
        return
    marks, events = _marks(evidence), evidence.provider_event_by_id
    of_object: dict[str, list[Document]] = defaultdict(list)
    for event in events.values():
        of_object[event["object_id"]].append(event)
    for charge in charges:
        if charge["announce"] or charge["due_at"] is not None:
            yield Finding(f"{charge['_id']} has something to tell yet", charge["reference"])
        for part in parts(charge):
            yield from _was_told(charge, part, of_object[part["id"]])
    for mark_id, (mark, reference) in marks.items():
        if mark_id not in events or events[mark_id]["raw"] != mark["raw"]:
            yield Finding(f"{mark_id} is not there with the bytes of its mark", reference)
    yield from _deliveries_are_those_of_marks(evidence, marks)
    for event_id in events.keys() - marks.keys():
        yield Finding(f"{event_id} has happened to nothing", events[event_id]["reference"])


def it_was_told_in_order(evidence: Evidence) -> Findings:
    """17. By the cluster's time: a charge or refund ends with its mark, then there is its event, then its deliveries, then
    the mark goes; a delivery is claimed before it is tried. A charge is due exactly while there is something to end or tell.
    """
    if not any("announce" in charge for charge in evidence.provider_charges):
        return
    seen = partial(every_write_was_seen, evidence)
    yield from seen("charges", evidence.provider_charges)
    yield from seen("events", evidence.provider_events)
    yield from seen("deliveries", evidence.provider_deliveries)
    so_far = _SoFar()
    for change in evidence.changes:
        for detail in so_far.wrong_with(change):
            about = change.after or change.before or {}
            yield Finding(f"{change.id} at {change.at:%H:%M:%S.%f}: {detail}", about.get("reference"))


def parts(charge: Document) -> Iterator[Document]:
    """What of it ends by itself: it, its refunds, and its disputes that are open or closed."""
    yield {**charge, "id": charge["_id"], "kind": "payment"}
    for refund in charge["refunds"]:
        yield {**refund, "kind": "refund"}
    for dispute in charge["disputes"]:
        if dispute["status"] != "waiting":
            yield {**dispute, "kind": "dispute", "scenario": {}}


def _marks(evidence: Evidence) -> dict[str, tuple[Document, str]]:
    """All marks that were ever made, by the id of their event, with the order that they are about."""
    made = {}
    for change in evidence.changes:
        if change.collection in MARKED and change.after is not None:
            for mark in change.after.get("announce", ()):
                made[mark["id"]] = (mark, change.after.get("reference", change.id))
    return made


def _was_told(charge: Document, part: Document, events: list[Document]) -> Findings:
    if part["status"] == "pending":
        yield Finding(f"{part['id']} is pending", charge["reference"])
        return
    faults = (None, WRONG_AMOUNT) if part["scenario"].get("wrongAmount") else (None,)
    wanted = [(told, fault) for told in _told_of(part) for fault in faults]
    told = [(event["type"], event["fault"]) for event in events]
    if Counter(told) != Counter(wanted):
        yield Finding(f"{part['id']} has {part['status']}, and its events are {told}", charge["reference"])


def _told_of(part: Document) -> list[str]:
    """The types of the events that there must be."""
    if part["kind"] != "dispute":
        return [f"{part['kind']}.{part['status']}"]
    return ["dispute.created"] if part["status"] == "open" else ["dispute.created", "dispute.closed"]


def _deliveries_are_those_of_marks(evidence: Evidence, marks: Mapping[str, tuple[Document, str]]) -> Findings:
    to: dict[str, set[str]] = defaultdict(set)
    for delivery in evidence.provider_deliveries:
        mark, reference = marks.get(delivery["event_id"], ({"to": ()}, None))
        to[delivery["event_id"]].add(delivery["endpoint_id"])
        asked_for_again = delivery.get("queued_at") is None
        if delivery["endpoint_id"] not in mark["to"] and not asked_for_again:
            yield Finding(f"{delivery['_id']} is to {delivery['endpoint_id']}, which was not to hear of it", reference)
    for mark_id, (mark, reference) in marks.items():
        for endpoint_id in set(mark["to"]) - to[mark_id]:
            yield Finding(f"{mark_id} was to be delivered to {endpoint_id}, and nobody tries", reference)


class _SoFar:
    """What had been written by then: events, and the event and endpoint of each delivery."""

    def __init__(self) -> None:
        self._marks: set[str] = set()
        self._events: set[str] = set()
        self._deliveries: set[tuple[str, str]] = set()

    def wrong_with(self, change: Change) -> list[str]:
        after = change.after
        if after is None:
            return []
        match change.collection:
            case "charges":
                return [*_wrong_with_ends(change.before, after), *self._wrong_with_marks(change.before, after)]
            case "webhook_endpoints":
                return self._wrong_with_marks(change.before, after)
            case "events" if change.before is None:
                self._events.add(change.id)
                return [] if change.id in self._marks else ["it is there before what it is about has happened"]
            case "deliveries":
                return self._wrong_with_delivery(change.before, after)
            case _:
                return []

    def _wrong_with_delivery(self, before: Document | None, after: Document) -> list[str]:
        if before is None:
            self._deliveries.add((after["event_id"], after["endpoint_id"]))
            return [] if after["event_id"] in self._events else ["it is there before its event"]
        claimed = before.get("claim") and before.get("lease_until", True)
        untried = len(after["attempts"]) <= len(before["attempts"])
        return [] if claimed or untried else ["it was tried by somebody who had not claimed it"]

    def _wrong_with_marks(self, before: Document | None, after: Document) -> list[str]:
        had, has = ({mark["id"]: mark for mark in one.get("announce", ())} for one in (before or {}, after))
        self._marks |= has.keys()
        wrong = []
        for mark_id in had.keys() - has.keys():
            missing = [one for one in had[mark_id]["to"] if (mark_id, one) not in self._deliveries]
            if mark_id not in self._events or missing:
                wrong.append(f"its mark {mark_id} went before all of it was told")
        changed = [one for one in had.keys() & has.keys() if had[one] != has[one]]
        return [*wrong, *(f"its mark {one} changed" for one in changed)]


def _wrong_with_ends(before: Document | None, after: Document) -> list[str]:
    """With a charge after a write: what it says of its parts, its marks, and when it is due."""
    was = {part["id"]: part["status"] for part in parts(before)} if before else {}
    marked = {mark["object"] for mark in after["announce"]}
    wrong = []
    for part in parts(after):
        old, new = was.get(part["id"], "pending"), part["status"]
        may_change = old == "open" if part["kind"] == "dispute" and part["id"] in was else old == "pending"
        if old != new and (not may_change or part["id"] not in marked):
            wrong.append(f"{part['id']} was {old} and is {new}" + ("" if part["id"] in marked else ", without a mark"))
    pending = [part["settles_at"] for part in parts(after) if part["status"] == "pending"]
    pending += [one["opens_at"] for one in after["disputes"] if one["status"] == "waiting"]
    due_at = after["due_at"]
    if (due_at is not None) != bool(pending or after["announce"]) or (pending and due_at and due_at > min(pending)):
        wrong.append(f"it is due at {due_at}, with {len(pending)} things to end and {len(marked)} to tell")
    return wrong
