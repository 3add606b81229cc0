"""Whether every message to the provider was handled as it must be. Invariants 5 and 12."""

from shared.mongo import Document
from tools.chaos.evidence import Evidence
from tools.chaos.invariants.finding import Finding, Findings
from tools.chaos.invariants.rules import death_notice
from tools.chaos.invariants.seen import every_write_was_seen
from tools.chaos.watcher import Change

FROZEN = ("merchant", "kind", "order_id", "refund_id", "path", "body", "created_at")
FINAL = ("done", "void")
ATTEMPTS_MAX = 24  # until it is dead; they are counted anew after each time that somebody has redriven it


def no_stale_fence_changed_anything(evidence: Evidence) -> Findings:
    """5. By every write to the outbox: whoever settles or gives back holds the fence of that moment, a fence only grows, a
    claim raises it, and nothing happens to what is done or void.
    """
    yield from every_write_was_seen(evidence, "outbox", evidence.messages)
    for change in evidence.changes:
        if change.collection == "outbox" and change.before:
            for wrong in _wrong_with(change):
                at = f"{change.at:%H:%M:%S.%f}"
                yield Finding(f"{change.id} at {at}: {wrong}", change.before.get("order_id"))


def every_message_came_to_rest(evidence: Evidence) -> Findings:
    """12. Done, void, or dead with a review; attempts bounded; nothing left open."""
    orders = evidence.order_by_id
    for message in evidence.messages:
        reviews = orders.get(message["order_id"], {"reviews": []})["reviews"]
        told = death_notice(message) in {(one["code"], one["event_id"]) for one in reviews}
        if message["state"] == "dead" and not told:
            yield Finding(f"{message['_id']} is dead, and no review says so", message["order_id"])
        if message["attempts"] > ATTEMPTS_MAX:
            yield Finding(f"{message['_id']} was attempted {message['attempts']} times", message["order_id"])
        if message["state"] in {"done", "void", "dead"} and message["lease_until"] is not None:
            yield Finding(f"{message['_id']} is {message['state']} and still leased", message["order_id"])
    redriven = {message["_id"] for message in evidence.messages if message.get("redrives")}
    for redrive in evidence.of_kind("redrive"):
        if redrive.answer and redrive.command["message"] not in redriven:
            yield Finding(f"{redrive.command['message']} was redriven, and does not know it", redrive.order_id)
    for left in evidence.still_open:
        order_id = next((one for one in left.split() if one.startswith("ord_")), None)
        yield Finding(f"still open: {left}", order_id)


def _wrong_with(change: Change) -> list[str]:
    before, after = change.before, change.after
    assert before is not None
    if after is None:
        return ["it was deleted"]
    wrong = [f"its {name} changed" for name in FROZEN if before.get(name) != after.get(name)]
    if before["state"] in FINAL:
        wrong.append(f"it was {before['state']} and was written to")
    if after["fence"] - before["fence"] not in {0, 1}:
        wrong.append(f"its fence went from {before['fence']} to {after['fence']}")
    if after.get("claim") != before.get("claim") and after["fence"] != before["fence"] + 1:
        wrong.append("it was claimed under the fence of the claim before")
    if _settled(before, after) and after.get("settled_fence") != after["fence"]:
        wrong.append(f"it was settled under the fence {after.get('settled_fence')}, and its fence was {after['fence']}")
    return wrong


def _settled(before: Document, after: Document) -> bool:
    """Whether a dispatcher ended a claim, be it unsent; not an event, a cancellation or a redrive, which raise the fence."""
    if before.get("settled_fence") != after.get("settled_fence"):
        return True
    let_go = after["state"] != "leased" or after["lease_until"] is None
    return before["state"] == "leased" and let_go and after["fence"] == before["fence"]
