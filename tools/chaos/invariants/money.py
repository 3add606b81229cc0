"""Whether our orders show what the provider did, and nothing that it did not. Invariants 8 and 10."""

from collections import defaultdict

from shared.mongo import Document
from tools.chaos.evidence import Evidence, order_of
from tools.chaos.invariants.events import FACTS, accepted
from tools.chaos.invariants.finding import Finding, Findings
from tools.chaos.invariants.rules import ENDED, by_hand_id, causes_of, stored_facts, told_by
from tools.chaos.strangers import FORGERIES

# The provider's own. One by a retired secret is none for as long as order_api is told to take that secret too.
THEIR_FORGERIES = {"bad_signature", "tampered_body", "stale_timestamp"}


def what_the_provider_did_shows(evidence: Evidence) -> Findings:
    """8. Every charge, refund and dispute that has ended at the provider, in its order, whoever asked for it."""
    for charge in evidence.provider_charges:
        order = evidence.order_by_id.get(order_of(charge["reference"]))
        if order is None:
            yield Finding(f"{charge['_id']} is of an order that is not there", charge["reference"])
            continue
        shown = {one["id"]: one["state"] for name in FACTS for one in order[name]}
        told = {charge["_id"]: charge["status"]}
        told |= {one["id"]: one["status"] for one in charge["disputes"] if one["status"] != "waiting"}
        for one, state in told.items():
            if state != "pending" and shown.get(one) != state:
                yield Finding(f"{one} has {state}; the order shows {shown.get(one)}", order["_id"])
    for refund in evidence.provider_refunds:
        order = evidence.order_by_id.get(order_of(refund["charge_reference"]))
        known = {one["id"]: one["state"] for one in order["refunds"]} if order else {}
        state = known.get(_shown_as(order, refund)) if order else None
        if state is None or (refund["status"] != "pending" and state != refund["status"]):
            detail = f"{refund['reference']} has {refund['status']} as {refund['_id']}; the order shows {state}"
            yield Finding(detail, refund["charge_reference"])


def _shown_as(order: Document, refund: Document) -> str:
    """The id by which the order knows a refund of the provider's."""
    return str(refund["reference"]) if refund["reference"] in causes_of(order) else by_hand_id(refund["_id"])


def money_moves_by_events_only(evidence: Evidence) -> Findings:
    """10. Nothing has succeeded or failed, no dispute is won or lost, without a stored event whose bytes say so and are the
    provider's own; no refund is refused whose call was not; and no stored event has bytes that nobody with the secret has
    signed.
    """
    yield from _forgeries_are_refused(evidence)
    signed = {event["raw"] for event in evidence.provider_events}
    signed |= {
        operation.command["raw"]
        for operation in evidence.of_kind("webhook")
        if operation.command["trick"] not in FORGERIES
    }
    proven: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for event in evidence.stored_events:
        if event["raw"] not in signed:
            yield Finding(f"{event['_id']} is stored with bytes that nobody signed", event["order_id"])
        order = evidence.order_by_id.get(event["order_id"] or "")
        told = told_by(event, causes_of(order) if order else {})
        true = evidence.provider_event_by_id.get(event["_id"])
        if event["outcome"] == "applied" and told and true is not None and true["raw"] == event["raw"]:
            proven[event["order_id"]].add((told[0], told[1].state))
    for order in evidence.orders:
        ended = {(one, fact.state) for one, fact in stored_facts(order).all.items() if fact.state in ENDED}
        for one, state in sorted(ended - proven[order["_id"]]):
            yield Finding(f"{one} has {state}, and no event of the provider says so", order["_id"])
        refused = {call["refund_id"] for call in order["calls"] if call["refused_code"] is not None}
        for refund in order["refunds"]:
            if refund["state"] == "refused" and refund["id"] not in refused:
                yield Finding(f"{refund['id']} is refused, and the provider has refused nothing", order["_id"])


def _forgeries_are_refused(evidence: Evidence) -> Findings:
    for operation in evidence.of_kind("webhook"):
        if operation.command["trick"] in FORGERIES and operation.answer is not None:
            yield Finding(
                f"operation {operation.number} was believed: {operation.command['trick']}", operation.order_id
            )
    for delivery in evidence.provider_deliveries:
        for attempt in delivery["attempts"]:
            if attempt["forgery"] in THEIR_FORGERIES and accepted(attempt):
                event = evidence.provider_event_by_id.get(delivery["event_id"], {})
                yield Finding(f"{delivery['_id']} was believed: {attempt['forgery']}", event.get("reference"))
