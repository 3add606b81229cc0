"""Whether an order's money is where it must be, by the provider's own documents and by ours. Invariants 4 and 9."""

from shared.mongo import Document
from tools.chaos.evidence import Evidence
from tools.chaos.invariants.finding import Finding, Findings
from tools.chaos.invariants.rules import (
    BY_HAND,
    Charge,
    Dispute,
    Facts,
    Refund,
    attempts_of,
    causes_of,
    stored_facts,
)
from tools.chaos.invariants.sums import ALIVE, STANDING, causes, sums

# The reviews whose causes may leave a merchant less than what may be kept: money went back twice, or the customer has it.
SAY_WHY_LESS_IS_KEPT = {"dispute", "refunded-and-disputed", "given-back-twice", "second-charge"}


def no_more_is_kept(evidence: Evidence) -> Findings:
    """4. At the provider, by its own documents: no more than an order's amount is kept of all that was charged for it, and
    nothing if it is cancelled. Else the provider does not give it back, and a person was told.
    """
    for order in evidence.orders:
        kept, most = sums(at_the_provider(evidence, order)).kept, _most(order)
        if kept > most and not _is_refused(order):
            yield Finding(f"{kept} is kept at the provider, and no more than {most} may be", order["_id"])


def the_books_agree(evidence: Evidence) -> Findings:
    """9. Amounts and currencies, each and in the sum of each order; never more is given back or disputed than was taken.
    Nothing is owed, and what is kept is what may be: where it is not, there is the cause of a review that says why.
    """
    theirs = {charge["_id"]: charge for charge in evidence.provider_charges}
    refunded_as = {refund["reference"]: refund for refund in evidence.provider_refunds}
    for charge in evidence.provider_charges:
        yield from _within_the_charge(charge)
    for order in evidence.orders:
        for charge in order["charges"]:
            told = theirs.get(charge["id"])
            if told is not None and (told["amount"], told["currency"]) != (charge["amount_minor"], order["currency"]):
                yield Finding(f"{charge['id']} is of another amount at the provider", order["_id"])
        for refund in order["refunds"]:
            told = refunded_as.get(refund["id"])
            if told is not None and (told["amount"], told["charge_id"]) != (
                refund["amount_minor"],
                refund["charge_id"],
            ):
                yield Finding(f"{refund['id']} is another refund at the provider", order["_id"])
        yield from _no_more_is_reserved(order)
        yield from _same_sums(evidence, order)
        yield from _kept_is_what_may_be(evidence, order)


def _most(order: Document) -> int:
    """That may ever be kept of it."""
    return 0 if order["cancelled_at"] is not None else int(order["amount_minor"])


def _is_refused(order: Document) -> bool:
    """Whether the provider does not give something of it back, and a person was told."""
    facts = stored_facts(order)
    told = {(review["code"], review["event_id"]) for review in order["reviews"]}
    return any(cause in told for cause in causes(order["_id"], facts) if cause[0] == "not-given-back")


def at_the_provider(evidence: Evidence, order: Document) -> Facts:
    """The facts by the provider's own documents, in the order's currency. Why we asked for a refund is all that is ours."""
    our_causes = causes_of(order)
    made = [one for one in evidence.charges_of.get(order["_id"], []) if one["currency"] == order["currency"]]
    charges = {
        one["_id"]: Charge(
            one["status"],
            one["amount"],
            one["failure_code"],
            one["reference"],
            one["settled_at"] if one["status"] == "succeeded" else None,
        )
        for one in made
    }
    refunds = {
        one["_id"]: Refund(
            "requested" if one["status"] == "pending" else one["status"],
            one["amount"],
            one["failure_code"],
            one["charge_id"],
            our_causes.get(one["reference"], BY_HAND),
            one["created_at"],
        )
        for one in evidence.refunds_of.get(order["_id"], [])
        if one["charge_id"] in charges
    }
    disputes = {
        one["id"]: Dispute(one["status"], one["amount"], charge["_id"])
        for charge in made
        for one in charge["disputes"]
        if one["status"] != "waiting"
    }
    cancelled = order["cancelled_at"] is not None
    return Facts(order["amount_minor"], cancelled, attempts_of(order), charges, refunds, disputes)


def _within_the_charge(charge: Document) -> Findings:
    refunded = sum(one["amount"] for one in charge["refunds"] if one["status"] in {"pending", "succeeded"})
    disputed = sum(one["amount"] for one in charge["disputes"] if one["status"] in STANDING)
    if refunded + disputed > charge["amount"]:
        what = f"{refunded} of {charge['amount']} back, and {disputed} is disputed"
        yield Finding(f"the provider gives {what}", charge["reference"])


def _no_more_is_reserved(order: Document) -> Findings:
    """A refund whose call is dead may be one that the provider never made: that is for a person."""
    dead = {call["refund_id"] for call in order["calls"] if call["state"] == "dead"}
    for charge in order["charges"]:
        refunds = [one for one in order["refunds"] if one["charge_id"] == charge["id"] and one["id"] not in dead]
        asked = sum(one["amount_minor"] for one in refunds if one["state"] in ALIVE)
        if asked > charge["amount_minor"]:
            yield Finding(f"refunds of {charge['id']} reserve {asked} of {charge['amount_minor']}", order["_id"])


def _same_sums(evidence: Evidence, order: Document) -> Findings:
    """What was taken, given back and disputed. A doubled refund shows here."""
    ours, theirs = sums(stored_facts(order)), sums(at_the_provider(evidence, order))
    for name in ("captured", "refunded", "disputed"):
        if getattr(ours, name) != getattr(theirs, name):
            detail = f"{name}: we have {getattr(ours, name)} {order['currency']}, the provider {getattr(theirs, name)}"
            yield Finding(detail, order["_id"])
    odd = {one["currency"] for one in evidence.charges_of.get(order["_id"], [])} - {order["currency"]}
    if odd:
        yield Finding(f"it is charged in {', '.join(sorted(odd))} at the provider", order["_id"])


def _kept_is_what_may_be(evidence: Evidence, order: Document) -> Findings:
    """By our facts nothing is owed; by the provider's documents what is kept is what may be. What is kept beyond an order's
    whole amount is for invariant 4.
    """
    order_id, ours, theirs = order["_id"], stored_facts(order), at_the_provider(evidence, order)
    kept, may_be = sums(theirs).kept, sums(theirs).keep
    if kept > _most(order):
        return
    if sums(ours).owed and not _is_refused(order):
        yield Finding(f"{sums(ours).owed} is owed, and is not asked back", order_id)
    dead = any(call["state"] == "dead" and call["kind"] == "refund" for call in order["calls"])
    if kept > may_be and not dead and not _is_refused(order):
        yield Finding(f"{kept} is kept, and {may_be} may be", order_id)
    whys = {code for code, _ in causes(order_id, theirs)} & SAY_WHY_LESS_IS_KEPT
    if theirs.succeeded and kept < may_be and not whys:
        yield Finding(f"{kept} is kept, though {may_be} may be, and nothing says why", order_id)
