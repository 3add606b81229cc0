"""Whether the provider's books and ours say the same. Invariants 4, 8, 9 and 10."""

from collections import Counter, defaultdict
from collections.abc import Iterable

from shared.mongo import Document
from tools.chaos.evidence import Evidence
from tools.chaos.invariants.commands import refused_refunds
from tools.chaos.invariants.events import accepted
from tools.chaos.invariants.finding import Finding, Findings
from tools.chaos.invariants.rules import AUTOMATIC_REFUNDS_MAX, death_notice, stored_facts, told_by
from tools.chaos.strangers import FORGERIES

# The provider's own. One by a retired secret is none for as long as order_api is told to take that secret too.
THEIR_FORGERIES = {"bad_signature", "tampered_body", "stale_timestamp"}


def one_charge_is_kept(evidence: Evidence) -> Findings:
    """4. At most one successful charge of each order, and none if it is cancelled. Any other is refunded in full, or the
    provider does not do it and a person was told.
    """
    given_back = _given_back(evidence.provider_refunds)
    for order_id, charges in evidence.charges_of.items():
        order = evidence.order_by_id.get(order_id)
        succeeded = sorted((one for one in charges if one["status"] == "succeeded"), key=lambda one: one["_id"])
        kept = succeeded if order is not None and order["cancelled_at"] is None else []
        for charge in succeeded[len(kept[:1]) :]:
            back = given_back[charge["_id"]]
            if back != charge["amount"] and not (order and _told_a_person(evidence, order, charge["_id"])):
                yield Finding(f"{charge['_id']} is kept too: {back} of {charge['amount']} was given back", order_id)


def what_the_provider_did_shows(evidence: Evidence) -> Findings:
    """8. Every charge and refund that has ended at the provider, in the order that it is of."""
    for charge in evidence.provider_charges:
        order = evidence.order_by_id.get(charge["reference"])
        if order is None:
            yield Finding(f"{charge['_id']} is of an order that is not there", charge["reference"])
        elif charge["status"] != "pending":
            shown = {one["id"]: one["state"] for one in order["charges"]}.get(charge["_id"])
            if shown != charge["status"]:
                yield Finding(f"{charge['_id']} has {charge['status']}; the order shows {shown}", order["_id"])
    for refund in evidence.provider_refunds:
        order = evidence.order_by_id.get(refund["charge_reference"])
        known = {one["id"]: one["state"] for one in order["refunds"]} if order else {}
        shown = known.get(refund["reference"])
        if shown is None or (refund["status"] != "pending" and shown != refund["status"]):
            detail = f"{refund['reference']} has {refund['status']} as {refund['_id']}; the order shows {shown}"
            yield Finding(detail, refund["charge_reference"])


def the_books_agree(evidence: Evidence) -> Findings:
    """9. Amounts and currencies, each and in the sum of each order; and never more given back than taken."""
    theirs = {charge["_id"]: charge for charge in evidence.provider_charges}
    refunded_as = {refund["reference"]: refund for refund in evidence.provider_refunds}
    for charge in evidence.provider_charges:
        yield from _within_the_charge(charge, evidence.refunds_of.get(charge["reference"], []))
    for order in evidence.orders:
        for charge in order["charges"]:
            told = theirs.get(charge["id"])
            if told is not None and (told["amount"], told["currency"]) != (charge["amount_minor"], order["currency"]):
                yield Finding(f"{charge['id']} is of another amount at the provider", order["_id"])
            asked = sum(
                one["amount_minor"]
                for one in order["refunds"]
                if one["charge_id"] == charge["id"] and one["state"] != "failed"
            )
            if asked > charge["amount_minor"]:
                yield Finding(f"refunds of {charge['id']} reserve {asked} of {charge['amount_minor']}", order["_id"])
        for refund in order["refunds"]:
            told = refunded_as.get(refund["id"])
            if told is not None and (told["amount"], told["charge_id"]) != (
                refund["amount_minor"],
                refund["charge_id"],
            ):
                yield Finding(f"{refund['id']} is another refund at the provider", order["_id"])
        yield from _same_sums(evidence, order)


def money_moves_by_events_only(evidence: Evidence) -> Findings:
    """10. Nothing has succeeded or failed without a stored event whose bytes say so and are the provider's own; and no
    stored event has bytes that nobody with the secret has signed.
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
        told = told_by(event)
        true = evidence.provider_event_by_id.get(event["_id"])
        if event["outcome"] == "applied" and told and true is not None and true["raw"] == event["raw"]:
            proven[event["order_id"]].add((told[0], told[1].state))
    for order in evidence.orders:
        facts = stored_facts(order)
        refused = {(refund_id, "failed") for refund_id, _ in refused_refunds(evidence, order["_id"])}
        claimed = {(one, charge.state) for one, charge in facts.charges.items()}
        claimed |= {(one, refund.state) for one, refund in facts.refunds.items()}
        ended = {(one, state) for one, state in claimed if state in {"succeeded", "failed"}}
        for one, state in sorted(ended - proven[order["_id"]] - refused):
            yield Finding(f"{one} has {state}, and no event of the provider says so", order["_id"])


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


def _given_back(refunds: Iterable[Document]) -> Counter[str]:
    back: Counter[str] = Counter()
    for refund in refunds:
        if refund["status"] == "succeeded":
            back[refund["charge_id"]] += refund["amount"]
    return back


def _told_a_person(evidence: Evidence, order: Document, charge_id: str) -> bool:
    """Whether a charge's refund was refused too often, or is a dead letter: then giving back is up to somebody."""
    refunds = [one for one in order["refunds"] if one["charge_id"] == charge_id and one["cause"] != "merchant"]
    failed = [refund["id"] for refund in refunds if refund["state"] == "failed"]
    dead = {one["refund_id"]: one for one in evidence.messages_of.get(order["_id"], []) if one["state"] == "dead"}
    notices = [death_notice(dead[one["id"]]) for one in refunds if one["state"] == "requested" and one["id"] in dead]
    if len(failed) == AUTOMATIC_REFUNDS_MAX:
        notices += [("refund-failed", refund_id) for refund_id in failed]
    told = {(review["code"], review["event_id"]) for review in order["reviews"]}
    return bool(notices) and told.issuperset(notices)


def _within_the_charge(charge: Document, refunds: Iterable[Document]) -> Findings:
    states: Counter[str] = Counter()
    for refund in refunds:
        if refund["charge_id"] == charge["_id"]:
            states[refund["status"]] += refund["amount"]
    reserved = states["pending"] + states["succeeded"]
    if not 0 <= reserved <= charge["amount"]:
        yield Finding(f"the provider gives back {reserved} of {charge['amount']}", charge["reference"])


def _same_sums(evidence: Evidence, order: Document) -> Findings:
    """What was taken and given back by charges and refunds that have succeeded. A doubled refund shows here."""
    ours, theirs = Counter[str](), Counter[str]()
    for kind, facts in (("captured", order["charges"]), ("refunded", order["refunds"])):
        for fact in facts:
            ours[f"{kind} {order['currency']}"] += fact["amount_minor"] if fact["state"] == "succeeded" else 0
    for kind, made in (("captured", evidence.charges_of), ("refunded", evidence.refunds_of)):
        for one in made.get(order["_id"], []):
            theirs[f"{kind} {one['currency']}"] += one["amount"] if one["status"] == "succeeded" else 0
    if ours != theirs:
        yield Finding(f"in sum we have {dict(ours)}, the provider {dict(theirs)}", order["_id"])
