"""Whether every message to the provider was handled as it must be: the calls of orders. Invariants 5 and 12."""

from datetime import datetime

from shared.mongo import Document
from tools.chaos.evidence import Evidence
from tools.chaos.invariants.finding import Finding, Findings
from tools.chaos.invariants.rules import AUTOMATIC, ENDED, death_notice, stored_facts
from tools.chaos.invariants.seen import every_write_was_seen
from tools.chaos.invariants.writes import every_write_counts
from tools.chaos.rest import waits_in_vain
from tools.chaos.watcher import Change

FROZEN = ("id", "kind", "reference", "refund_id", "payment_method", "path", "body", "created_at")
FINAL = ("done", "void")
ATTEMPTS_MAX = 24  # until it is dead; counted anew after each redrive. What must go back by itself is tried for 30 days
NOT_OWED = "not-owed"  # the code of one that was to be given back by itself and never sent, because nothing is owed
DISPUTED = "disputed"  # the code of a refund that was never sent, because a dispute has taken the money
NEW = {"attempts": 0, "claim": None, "settled_claim": None, "redrives": 0}


def no_stale_claim_changed_anything(evidence: Evidence) -> Findings:
    """5. By every write: a version is one more than the one before, and whoever settles or gives back a call holds its claim
    at that moment; a claim is made of what is due, a body stays as it is, and nothing happens to what is done or void.
    """
    yield from every_write_was_seen(evidence, "orders", evidence.orders)
    yield from every_write_counts(evidence)
    for change in evidence.changes:
        if change.collection == "orders" and change.after is not None:
            for wrong in _wrong_with(change, change.after):
                yield Finding(f"{wrong}, at {change.at:%H:%M:%S.%f}", change.id)


def every_message_came_to_rest(evidence: Evidence) -> Findings:
    """12. Done, void, or dead with a review; attempts bounded; nothing claimed, nothing due, nothing left open. Or it asks
    for what the provider does not give back, of which a review says so, and waits for its time.
    """
    for order in evidence.orders:
        told = {(one["code"], one["event_id"]) for one in order["reviews"]}
        in_vain = waits_in_vain(order)
        at_rest = [call for call in order["calls"] if call["refund_id"] not in in_vain]
        automatic = {one["id"] for one in order["refunds"] if one["cause"] in AUTOMATIC}
        restless = [f"{call['id']} {why}" for call in at_rest for why in _not_at_rest(call, told)]
        restless += [
            f"{call['id']} was attempted {call['attempts']} times"
            for call in at_rest
            if call["attempts"] > ATTEMPTS_MAX and call["refund_id"] not in automatic
        ]
        if order["due_at"] is not None and not in_vain:
            restless.append("something of it is due")
        for one in restless:
            yield Finding(one, order["_id"])
    redriven = {message["id"] for message in evidence.messages if message["redrives"]}
    for redrive in evidence.of_kind("redrive"):
        if redrive.answer and redrive.command["message"] not in redriven:
            yield Finding(f"{redrive.command['message']} was redriven, and does not know it", redrive.order_id)
    for left in evidence.still_open:
        order_id = next((one for one in left.split() if one.startswith("ord_")), None)
        yield Finding(f"still open: {left}", order_id)


def _not_at_rest(call: Document, told: set[tuple[str, str]]) -> list[str]:
    """`told` has the reviews of its order."""
    restless = []
    if call["state"] == "dead" and death_notice(call) not in told:
        restless.append("is dead, and no review says so")
    if call["state"] not in {"dead", *FINAL}:
        restless.append(f"is {call['state']}")
    if call["claim"] is not None or call["due_at"] is not None:
        restless.append(f"is {call['state']} and still claimed or due")
    return restless


def _wrong_with(change: Change, after: Document) -> list[str]:
    """With the calls of an order after a write."""
    before = {call["id"]: call for call in (change.before or {"calls": []})["calls"]}
    wrong = []
    if [call["id"] for call in after["calls"]][: len(before)] != [*before]:
        wrong.append(f"its calls were {', '.join(before)}, and are others")
    least = min((call["due_at"] for call in after["calls"] if call["state"] == "open"), default=None)
    if after["due_at"] != least:
        wrong.append(f"it is due at {after['due_at']}, and the first of its calls at {least}")
    for call in after["calls"]:
        was = before.get(call["id"])
        if was != call:
            is_first = change.before is None
            said = (
                _wrong_with_new(call, after, is_first) if was is None else _wrong_with_call(was, call, after, change.at)
            )
            wrong += [f"{call['id']}: {one}" for one in said]
    return wrong


def _wrong_with_new(call: Document, order: Document, is_first: bool) -> list[str]:
    """It is open, unless what has ended it was in the same write. The insert of its order may have claimed it."""
    new = NEW
    if is_first and call["claim"] is not None:
        new = {**NEW, "claim": call["claim"], "attempts": 1}
    wrong = [
        f"its {name} was {call.get(name)} when it was made" for name, value in new.items() if call.get(name) != value
    ]
    if new is not NEW and not call["created_at"] <= call["first_attempt_at"] < call["due_at"]:
        wrong.append("it was claimed for no time, or before it was made")
    return [*wrong, *_wrong_with_the_rest({**call, "state": "open"}, call, order)]


def _wrong_with_call(was: Document, call: Document, order: Document, at: datetime) -> list[str]:
    """What one write may do to a call: claim it, settle it, or what is neither. `order` is what it is in by then."""
    wrong = [f"its {name} changed" for name in FROZEN if was[name] != call[name]]
    if was["state"] in FINAL:
        wrong.append(f"it was {was['state']} and was written to")
    if call["redrives"] not in {was["redrives"], was["redrives"] + 1}:
        wrong.append(f"its redrives went from {was['redrives']} to {call['redrives']}")
    if call["claim"] not in {was["claim"], None}:
        return [*wrong, *_wrong_with_claim(was, call, at)]
    if call["settled_claim"] != was["settled_claim"] or call["tries"] != was["tries"]:
        return [*wrong, *_wrong_with_settling(was, call)]
    return [*wrong, *_wrong_with_the_rest(was, call, order)]


def _wrong_with_claim(was: Document, call: Document, at: datetime) -> list[str]:
    wrong = []
    if (was["state"], call["state"]) != ("open", "open"):
        wrong.append(f"it was {was['state']} and was claimed")
    elif was["due_at"] > at:
        wrong.append(f"it was claimed before {was['due_at']:%H:%M:%S.%f}, when it was due or another's lease ended")
    elif call["due_at"] <= at:
        wrong.append("it was claimed for no time")
    if call["attempts"] != was["attempts"] + 1:
        wrong.append(f"it was claimed, and its attempts went from {was['attempts']} to {call['attempts']}")
    if call["settled_claim"] != was["settled_claim"]:
        wrong.append("it was claimed and settled at once")
    return wrong


def _wrong_with_settling(was: Document, call: Document) -> list[str]:
    """Also where it is given back: that says under which claim, too."""
    wrong = []
    if was["state"] != "open" or was["claim"] is None or call["settled_claim"] != was["claim"]:
        wrong.append(f"it was settled under the claim {call['settled_claim']}, and its claim was {was['claim']}")
    if call["claim"] is not None:
        wrong.append("it was settled and is still claimed")
    redriven = call["redrives"] > was["redrives"] and call["attempts"] == 0
    if call["attempts"] not in {was["attempts"], was["attempts"] - 1} and not redriven:
        wrong.append(f"it was settled, and its attempts went from {was['attempts']} to {call['attempts']}")
    return wrong


def _is_automatic(call: Document, order: Document) -> bool:
    return any(one["id"] == call["refund_id"] and one["cause"] in AUTOMATIC for one in order["refunds"])


def _wrong_with_the_rest(was: Document, call: Document, order: Document) -> list[str]:
    """Neither claimed nor settled: an event has ended it, a cancellation or payment has made it void, a dispute has taken
    what it would give back, or that has gone back already, or somebody has redriven it.
    """
    match was["state"], call["state"]:
        case "open", "done" if call["refused_code"] in {DISPUTED, NOT_OWED}:
            why = order["disputes"] if call["refused_code"] == DISPUTED else _is_automatic(call, order)
            return (
                [] if _is_unsent(was) and why else ["it was sent, or nothing is disputed or was to go back by itself"]
            )
        case (("open" | "dead"), "done"):
            return [] if _has_ended(call, order) else ["it is done, under no claim, and no event has ended it"]
        case "open", "void":
            unwanted = order["cancelled_at"] or any(one["state"] == "succeeded" for one in order["charges"])
            return [] if _is_unsent(was) and unwanted else ["it is void, and was sent or is wanted"]
        case "dead", "open":
            anew = call["redrives"] == was["redrives"] + 1 and call["attempts"] == 0
            return [] if anew and call["redrive"] != was["redrive"] else ["it was dead and is open; nobody redrove it"]
        case "open", "open":
            same = ("claim", "attempts", *(("due_at",) if was["claim"] else ()))
            return [f"its {name} changed under no claim" for name in same if was[name] != call[name]]
        case before, after:
            return [] if before == after else [f"it was {before} and is {after}, under no claim"]


def _has_ended(call: Document, order: Document) -> bool:
    """Whether the order knows how the charge or refund that the call asks for has ended: that one, and no other."""
    facts = stored_facts(order)
    states = [one.state for one in facts.charges.values() if one.reference == call["reference"]]
    states += [one.state for refund_id, one in facts.refunds.items() if refund_id == call["refund_id"]]
    return any(state in ENDED for state in states)


def _is_unsent(call: Document) -> bool:
    return call["attempts"] == 0 and call["claim"] is None
