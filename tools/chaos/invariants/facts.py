"""Whether orders say what happened to them. Invariant 7."""

from collections.abc import Iterator
from random import Random

from shared.mongo import Document
from tools.chaos.evidence import Evidence
from tools.chaos.invariants.commands import asked_refunds, decided_ids, may_have_asked, refused_refunds, why_not_asked
from tools.chaos.invariants.events import REVIEWS
from tools.chaos.invariants.finding import Finding, Findings
from tools.chaos.invariants.rules import (
    CHARGE_GROWTH,
    REFUND_GROWTH,
    Charge,
    Facts,
    Refund,
    base_id,
    death_notice,
    fold,
    stored_facts,
    told_by,
)

SHUFFLES = 5


def orders_are_what_happened(evidence: Evidence) -> Findings:
    """7. Status equals what the facts amount to, and the facts are those of the stored events and commands, in any order."""
    for order in evidence.orders:
        facts = stored_facts(order)
        if order["status"] != facts.status:
            yield Finding(f"it is {order['status']}, and its facts say {facts.status}", order["_id"])
        statuses = [one["status"] for one in order["history"]]
        if statuses[0] != "Pending" or statuses[-1] != order["status"]:
            yield Finding(f"its history is {', '.join(statuses)}, its status {order['status']}", order["_id"])
        yield from _facts_are_explained(evidence, order, facts)
        yield from _commands_are_explained(evidence, order)
        yield from _reviews_are_explained(evidence, order, facts)
    yield from _facts_only_grow(evidence)


def _facts_are_explained(evidence: Evidence, order: Document, facts: Facts) -> Findings:
    happened: list[tuple[str, Charge | Refund]] = [
        *_accepted(evidence, order),
        *asked_refunds(evidence, order["_id"]),
        *refused_refunds(evidence, order["_id"]),
        *(fact for event in evidence.events_of.get(order["_id"], []) if (fact := _applied(event))),
    ]
    folded = [_folded(happened, number, cancelled=facts.cancelled) for number in range(SHUFFLES)]
    if any(one != folded[0] for one in folded):
        yield Finding("its facts depend on the order in which they are told", order["_id"])
    for name, told, stored in (
        ("charges", folded[0].charges, facts.charges),
        ("refunds", folded[0].refunds, facts.refunds),
    ):
        if told != stored:
            yield Finding(f"its {name} are {dict(stored)}; events and commands say {dict(told)}", order["_id"])
    if folded[0].status != order["status"]:
        yield Finding(f"it is {order['status']}; events and commands say {folded[0].status}", order["_id"])


def _commands_are_explained(evidence: Evidence, order: Document) -> Findings:
    cancels = list(may_have_asked(evidence, order["_id"], "cancel"))
    if order["cancelled_at"] is not None and not cancels:
        yield Finding("it is cancelled, and nobody can have cancelled it", order["_id"])
    if order["cancelled_at"] is None and any(cancel.answer for cancel in cancels):
        yield Finding("a client was told that it is cancelled, and it is not", order["_id"])
    for refund in order["refunds"]:
        if why := why_not_asked(evidence, order, refund):
            yield Finding(f"the refund {refund['id']}: {why}", order["_id"])


def _reviews_are_explained(evidence: Evidence, order: Document, facts: Facts) -> Findings:
    due = {("second-charge", one) for one, fact in facts.charges.items() if fact.state == "succeeded"}
    due -= {("second-charge", facts.kept)}
    due |= {("refund-failed", one) for one, fact in facts.refunds.items() if fact.state == "failed"}
    due |= {death_notice(letter) for letter in evidence.dead_letters_of.get(order["_id"], [])}
    for event in evidence.events_of.get(order["_id"], []):
        code = REVIEWS.get(event["outcome"])
        if code:
            due.add((code, base_id(event["_id"])))
    raised = {(review["code"], review["event_id"]) for review in order["reviews"]}
    for code, what in sorted(due - raised):
        yield Finding(f"nobody is told of {what}: there is no review {code}", order["_id"])
    for code, what in sorted(raised - due):
        yield Finding(f"nothing explains the review {code} of {what}", order["_id"])
    decisions = {
        (one.command["code"], one.command["decision"]) for one in may_have_asked(evidence, order["_id"], "resolve")
    }
    for resolve in may_have_asked(evidence, order["_id"], "resolve"):
        if resolve.answer and (why := _why_not_resolved(order, **resolve.command)):
            yield Finding(f"operation {resolve.number} was told that a review is resolved: {why}", order["_id"])
    redriven = {one.command["message"] for one in may_have_asked(evidence, order["_id"], "redrive")}
    for review in order["reviews"]:
        decided = (review["code"], review["decision"]) in decisions
        closed = review["decision"] == "redriven" and base_id(review["event_id"]) in redriven
        if review["resolved_at"] is not None and not decided and not closed:
            yield Finding(f"nobody can have closed the review {review['code']}: {review['decision']}", order["_id"])


def _why_not_resolved(order: Document, *, code: str, decision: str) -> str | None:
    """What is missing of what was acknowledged; None if it is all there."""
    closed = [one for one in order["reviews"] if (one["code"], one["decision"]) == (code, decision)]
    if not any(review["resolved_at"] for review in closed):
        return f"no {code} is, by the decision {decision}"
    given_back = {refund["id"] for refund in order["refunds"]}
    if decision == "refund" and not any(decided_ids(order, one["id"], code) & given_back for one in order["charges"]):
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
        lost = [one for one in (*before.charges, *before.refunds) if one not in (*after.charges, *after.refunds)]
        lost += [one for one, was in before.charges.items() if _shrank(CHARGE_GROWTH, was, after.charges.get(one))]
        lost += [one for one, was in before.refunds.items() if _shrank(REFUND_GROWTH, was, after.refunds.get(one))]
        if before.cancelled and not after.cancelled:
            lost.append("its cancellation")
        for one in lost:
            yield Finding(f"{one} was taken back at {change.at:%H:%M:%S.%f}", change.id)


def _shrank(growth: dict[str, int], was: Charge | Refund, now: Charge | Refund | None) -> bool:
    return now is not None and growth[now.state] < growth[was.state]


def _applied(event: Document) -> tuple[str, Charge | Refund] | None:
    return told_by(event) if event["outcome"] == "applied" else None


def _accepted(evidence: Evidence, order: Document) -> Iterator[tuple[str, Charge]]:
    """That there is a charge may be known by a reply too; never how it ended. C15"""
    known = {one["id"] for one in order["charges"]}
    for charge in evidence.charges_of.get(order["_id"], []):
        if charge["_id"] in known:
            yield charge["_id"], Charge("pending", charge["amount"], None)


def _folded(happened: list[tuple[str, Charge | Refund]], number: int, *, cancelled: bool) -> Facts:
    """In an order of its own for each number, and with some told twice."""
    draw = Random(number)
    told = [*happened, *draw.choices(happened, k=len(happened) // 2)] if happened else []
    draw.shuffle(told)
    return fold(told, cancelled=cancelled)
