"""Whether orders say what happened to them. Invariant 7."""

from collections.abc import Iterator
from random import Random

from shared.mongo import Document
from tools.chaos.evidence import Evidence
from tools.chaos.history import Operation
from tools.chaos.invariants.commands import asked_refunds, decided_id, may_have_asked, why_not_asked
from tools.chaos.invariants.events import FACTS, REVIEWS
from tools.chaos.invariants.finding import Finding, Findings
from tools.chaos.invariants.rules import (
    Charge,
    Dispute,
    Fact,
    Facts,
    base_id,
    causes_of,
    death_notice,
    fold,
    growth,
    stored_facts,
    told_by,
)
from tools.chaos.invariants.sums import causes, status

SHUFFLES = 5
UNTIL_DECIDED = set(REVIEWS.values())  # the codes of reviews whose cause can not go


def orders_are_what_happened(evidence: Evidence) -> Findings:
    """7. Status equals what the facts amount to, and the facts are those of the stored events and commands, in any order. A
    review is open exactly while its cause stands and nobody has decided.
    """
    for order in evidence.orders:
        facts = stored_facts(order)
        if order["status"] != status(facts):
            yield Finding(f"it is {order['status']}, and its facts say {status(facts)}", order["_id"])
        statuses = [one["status"] for one in order["history"]]
        if statuses[0] != "Pending" or statuses[-1] != order["status"]:
            yield Finding(f"its history is {', '.join(statuses)}, its status {order['status']}", order["_id"])
        yield from _facts_are_explained(evidence, order, facts)
        yield from _commands_are_explained(evidence, order)
        yield from _reviews_are_explained(evidence, order, facts)
        yield from _decisions_are_explained(evidence, order)
    yield from _facts_only_grow(evidence)


def _facts_are_explained(evidence: Evidence, order: Document, facts: Facts) -> Findings:
    ours = causes_of(order)
    told = (told_by(one, ours) for one in evidence.events_of.get(order["_id"], []) if one["outcome"] == "applied")
    happened: list[tuple[str, Fact]] = [
        *_found(evidence, order),
        *asked_refunds(order),
        *(fact for fact in told if fact is not None),
    ]
    folded = [_folded(order, happened, number) for number in range(SHUFFLES)]
    if any(one != folded[0] for one in folded):
        yield Finding("its facts depend on the order in which they are told", order["_id"])
    for name in FACTS:
        said, stored = getattr(folded[0], name), getattr(facts, name)
        if said != stored:
            yield Finding(f"its {name} are {stored}; events and commands say {said}", order["_id"])
    if status(folded[0]) != order["status"]:
        yield Finding(f"it is {order['status']}; events and commands say {status(folded[0])}", order["_id"])


def _found(evidence: Evidence, order: Document) -> Iterator[tuple[str, Fact]]:
    """That there is a charge or a dispute may be known by a reply too; never how it ended. C15"""
    known = {one["id"] for one in (*order["charges"], *order["disputes"])}
    for charge in evidence.charges_of.get(order["_id"], []):
        if charge["_id"] in known:
            yield charge["_id"], Charge("pending", charge["amount"], None, charge["reference"])
        for dispute in charge["disputes"]:
            if dispute["id"] in known:
                yield dispute["id"], Dispute("open", dispute["amount"], charge["_id"])


def _folded(order: Document, happened: list[tuple[str, Fact]], number: int) -> Facts:
    """In an order of its own for each number, and with some told twice."""
    draw = Random(number)
    told = [*happened, *draw.choices(happened, k=len(happened) // 2)] if happened else []
    draw.shuffle(told)
    return fold(order, told)


def _commands_are_explained(evidence: Evidence, order: Document) -> Findings:
    cancels = list(may_have_asked(evidence, order["_id"], "cancel"))
    if order["cancelled_at"] is not None and not cancels:
        yield Finding("it is cancelled, and nobody can have cancelled it", order["_id"])
    if order["cancelled_at"] is None and any(cancel.answer for cancel in cancels):
        yield Finding("a client was told that it is cancelled, and it is not", order["_id"])
    for refund in order["refunds"]:
        if why := why_not_asked(evidence, order, refund):
            yield Finding(f"the refund {refund['id']}: {why}", order["_id"])
    paid_with = {(one.key, one.command["payment_method"]) for one in may_have_asked(evidence, order["_id"], "pay")}
    asked = [key["value"] for key in order["keys"] if key["endpoint"] == f"POST /api/orders/{order['_id']}/payments"]
    methods = [call["payment_method"] for call in order["calls"] if call["kind"] == "charge"][1:]
    for paid in zip(asked, methods, strict=False):  # invariant 2 sees whether there are as many
        if paid not in paid_with:
            yield Finding(f"nobody can have paid again with {' and '.join(paid)}", order["_id"])


def _reviews_are_explained(evidence: Evidence, order: Document, facts: Facts) -> Findings:
    stands = set(causes(order["_id"], facts))
    stands |= {death_notice(call) for call in order["calls"] if call["state"] == "dead"}
    for event in evidence.events_of.get(order["_id"], []):
        if code := REVIEWS.get(event["outcome"]):
            stands.add((code, base_id(event["_id"])))
    raised = {(review["code"], review["event_id"]): review for review in order["reviews"]}
    for code, what in sorted(stands - raised.keys()):
        yield Finding(f"nobody is told of {what}: there is no review {code}", order["_id"])
    stood = {death_notice(letter) for letter in evidence.dead_letters_of.get(order["_id"], [])}
    named = {order["_id"], *facts.all}
    for (code, what), review in raised.items():
        is_open = review["resolved_at"] is None
        if is_open and (code, what) not in stands:
            yield Finding(f"nothing explains the review {code} of {what}, which is open", order["_id"])
        if not is_open and review["decision"] is None and ((code, what) in stands or code in UNTIL_DECIDED):
            yield Finding(f"the review {code} of {what} has closed, and its cause stands", order["_id"])
        if (code, what) not in stands | stood and (code in UNTIL_DECIDED or what not in named):
            yield Finding(f"nothing explains the review {code} of {what}", order["_id"])


def _decisions_are_explained(evidence: Evidence, order: Document) -> Findings:
    resolves = list(may_have_asked(evidence, order["_id"], "resolve"))
    decisions = {(one.command["code"], one.command["event_id"], one.command["decision"]) for one in resolves}
    for resolve in resolves:
        if resolve.answer and (why := _why_not_resolved(order, resolve)):
            yield Finding(f"operation {resolve.number} was told that a review is resolved: {why}", order["_id"])
    redriven = {one.command["message"] for one in may_have_asked(evidence, order["_id"], "redrive")}
    for review in order["reviews"]:
        decided = (review["code"], review["event_id"], review["decision"]) in decisions
        again = review["decision"] == "redriven" and base_id(review["event_id"]) in redriven
        if review["decision"] is not None and not decided and not again:
            yield Finding(f"nobody can have closed the review {review['code']}: {review['decision']}", order["_id"])


def _why_not_resolved(order: Document, resolve: Operation) -> str | None:
    """What is missing of what was acknowledged; None if it is all there."""
    code, event_id, decision = (resolve.command[name] for name in ("code", "event_id", "decision"))
    closed = {(one["code"], one["event_id"], one["decision"]) for one in order["reviews"] if one["resolved_at"]}
    if (code, event_id, decision) not in closed:
        return f"{code} of {event_id} is not, by the decision {decision}"
    if decision == "refund" and decided_id(code, event_id) not in {refund["id"] for refund in order["refunds"]}:
        return f"and {code} was to give money back, which nobody asked for"
    return None


def _facts_only_grow(evidence: Evidence) -> Findings:
    for change in evidence.changes:
        if change.collection != "orders" or not change.before:
            continue
        if change.after is None:
            yield Finding("it was deleted", change.id)
            continue
        before, after = stored_facts(change.before), stored_facts(change.after)
        known = after.all
        lost = [one for one, was in before.all.items() if one not in known or growth(known[one]) < growth(was)]
        if before.cancelled and not after.cancelled:
            lost.append("its cancellation")
        for one in lost:
            yield Finding(f"{one} was taken back at {change.at:%H:%M:%S.%f}", change.id)
