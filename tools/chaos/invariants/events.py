"""What became of what the provider says. Invariants 6 and 11."""

from collections import Counter
from collections.abc import Mapping

from shared.mongo import Document
from tools.chaos.evidence import Evidence
from tools.chaos.invariants.finding import Finding, Findings
from tools.chaos.invariants.rules import Fact, Facts, base_id, causes_of, decoded, growth, stored_facts, told_by
from tools.chaos.invariants.seen import every_write_was_seen
from tools.chaos.strangers import FORGERIES

OUTCOMES = {"applied", "duplicate", "ignored", "mismatch", "unmatched"}
FINAL = {"applied", "ignored"}
FACTS = ("charges", "refunds", "disputes")
REVIEWS = {"mismatch": "event-mismatch", "duplicate": "event-altered"}  # what a person is told of, by outcome


def an_event_counts_once(evidence: Evidence) -> Findings:
    """6. Each event id took effect at most once: one stored event, one change of one order; and that change, and a review
    that it calls for, stood before the event was said to have been applied or put aside.
    """
    yield from every_write_was_seen(evidence, "payment_events", evidence.stored_events)
    took_effect = Counter(base_id(event["_id"]) for event in evidence.stored_events if event["outcome"] == "applied")
    for event_id, times in took_effect.items():
        if times > 1:
            yield Finding(f"{event_id} was applied {times} times")
    causes = Counter(change["cause"] for order in evidence.orders for change in order["history"])
    for cause, times in causes.items():
        if times > 1 and "evt_" in cause:
            yield Finding(f"{cause} changed a status {times} times")
    facts = [one["id"] for order in evidence.orders for name in FACTS for one in order[name]]
    for fact, times in Counter(facts).items():
        if times > 1:
            yield Finding(f"{fact} is in {times} places")
    for change in evidence.changes:
        if change.collection != "payment_events" or not change.before or change.before["outcome"] not in FINAL:
            continue
        kept = {name: change.before[name] for name in ("outcome", "raw", "order_id")}
        if change.after is None or kept != {name: change.after[name] for name in kept}:
            yield Finding(f"{change.id} was judged once and for all, and then again", change.before["order_id"])
    yield from _outcomes_stood_before_what_they_say(evidence)
    yield from _nothing_that_says_the_same_is_kept_beside(evidence)


def _nothing_that_says_the_same_is_kept_beside(evidence: Evidence) -> Findings:
    """An event that comes encoded anew is the same event."""
    stored = {event["_id"]: event for event in evidence.stored_events}
    for event_id, event in stored.items():
        first = stored.get(base_id(event_id), event)
        if first is not event and decoded(first["raw"]) == decoded(event["raw"]) != {}:
            yield Finding(f"{event_id} says the same, and is kept as if it said something else", first["order_id"])


def _outcomes_stood_before_what_they_say(evidence: Evidence) -> Findings:
    """By the cluster's time: whoever was killed between the two has left an event that is taken up again."""
    orders: dict[str, Document] = {}
    events: dict[str, Document] = {}
    for change in evidence.changes:
        if change.after is None:
            continue
        if change.collection == "orders":
            orders[change.id] = change.after
        if change.collection == "payment_events":
            events[change.id] = change.after
            if change.before is None or change.before["outcome"] != change.after["outcome"]:
                yield from _missing(change.after, events.get(base_id(change.id), change.after), orders)


def _missing(event: Document, first: Document, orders: Mapping[str, Document]) -> Findings:
    """What the order does not know yet of an event with this outcome. `first` is the event that has the id itself."""
    order = orders.get((first if event["outcome"] == "duplicate" else event)["order_id"] or "")
    told = told_by(event, causes_of(order) if order else {})
    if event["outcome"] == "applied" and told and not (order and _knows(stored_facts(order), *told)):
        yield Finding(f"{event['_id']} was applied before its order knew of it", event["order_id"])
    code = REVIEWS.get(event["outcome"])
    raised = {(one["code"], one["event_id"]) for one in order["reviews"]} if order else set()
    if order and code and (code, base_id(event["_id"])) not in raised:
        yield Finding(f"{event['_id']} was put aside before anybody was told", order["_id"])


def _knows(facts: Facts, fact_id: str, fact: Fact) -> bool:
    known = facts.all.get(fact_id)
    return known is not None and growth(known) >= growth(fact)


def every_verified_event_is_stored(evidence: Evidence) -> Findings:
    """11. With its bytes and an outcome: whatever was answered 2xx, to the provider or to whoever else has the secret. Of
    an event that is only encoded anew the first bytes are enough.
    """
    for event in evidence.stored_events:
        if event["outcome"] not in OUTCOMES:
            yield Finding(f"{event['_id']} has the outcome {event['outcome']}", event["order_id"])
    yield from _what_was_delivered_is_stored(evidence)
    stored = {event["raw"] for event in evidence.stored_events}
    ids = {event["_id"] for event in evidence.stored_events}
    for operation in evidence.of_kind("webhook"):
        trick, raw = operation.command["trick"], operation.command["raw"]
        is_there = decoded(raw).get("id") in ids if trick == "encoded anew" else raw in stored
        if trick not in FORGERIES and operation.answer is not None and not is_there:
            yield Finding(f"operation {operation.number} was acknowledged, and is not stored", operation.order_id)


def _what_was_delivered_is_stored(evidence: Evidence) -> Findings:
    outcomes = {(base_id(event["_id"]), event["raw"]): event["outcome"] for event in evidence.stored_events}
    for delivery in evidence.provider_deliveries:
        event = evidence.provider_event_by_id.get(delivery["event_id"])
        if event is None:
            yield Finding(f"{delivery['_id']} delivers {delivery['event_id']}, which the provider does not have")
            continue
        outcome = outcomes.get((event["_id"], event["raw"]))
        for attempt in delivery["attempts"]:
            if attempt["forgery"] is not None or not accepted(attempt):
                continue
            if outcome is None:
                yield Finding(f"{event['_id']} was acknowledged, and is not stored", event["reference"])
            elif decoded(attempt["response_body"]).get("outcome") in FINAL and outcome not in FINAL:
                yield Finding(f"{event['_id']} was applied, and is stored as {outcome}", event["reference"])


def accepted(attempt: Document) -> bool:
    """Whether this try to deliver was answered as if all were well."""
    return attempt["status"] is not None and 200 <= attempt["status"] < 300
