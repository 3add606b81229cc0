"""What an order's money comes to, written anew, and what of it a person must look at."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tools.chaos.invariants.rules import AUTOMATIC, BY_HAND, Charge, Dispute, Facts, Refund

ALIVE = {"requested", "succeeded"}
STANDING = {"open", "lost"}  # a dispute that was won never was
MISSED = {"refused", "failed"}
NEVER_SENT = {"disputed", "not-owed"}  # what was withdrawn before the provider was asked was not missed
TRIES_BEFORE_A_REVIEW = 3


class Sums(NamedTuple):
    """`refunded` and `disputed` is what is gone; `for_excess` and `by_hand` are the two parts of what was refunded by hand.

    `keep` is what the merchant may keep; `left` is what is neither gone nor asked back, and may be negative.
    """

    captured: int
    refunded: int
    disputed: int
    excess: int
    for_excess: int
    by_hand: int
    automatic: int
    merchant: int
    given_back: int
    keep: int
    left: int

    @property
    def owed(self) -> int:
        """What must go back, and is not asked back."""
        return max(0, self.left - self.keep)

    @property
    def kept(self) -> int:
        """What the merchant has, whatever is asked back."""
        return self.captured - self.refunded - self.disputed


def sums(facts: Facts) -> Sums:
    """Only what is of a charge that has succeeded counts."""
    charges = facts.succeeded
    refunds = [refund for refund in facts.refunds.values() if refund.charge_id in charges]
    disputes = [dispute for dispute in facts.disputes.values() if dispute.charge_id in charges]
    succeeded = [refund for refund in refunds if refund.state == "succeeded"]
    hand = [refund for refund in succeeded if refund.cause == BY_HAND]
    captured, amount = total(charges.values()), facts.amount_minor
    excess = max(0, captured - amount)
    for_excess = _for_excess(hand, charges.values(), amount)
    by_hand = total(hand) - for_excess
    automatic = total(refund for refund in succeeded if refund.cause in AUTOMATIC)
    merchants = [refund for refund in refunds if refund.cause == "merchant" and refund.state in ALIVE]
    merchant = total(refund for refund in merchants if refund.state == "succeeded")
    disputed = total(dispute for dispute in disputes if dispute.state in STANDING)
    return Sums(
        captured=captured,
        refunded=total(succeeded),
        disputed=disputed,
        excess=excess,
        for_excess=for_excess,
        by_hand=by_hand,
        automatic=automatic,
        merchant=merchant,
        given_back=min(amount, merchant + by_hand + max(0, automatic + for_excess - excess)),
        keep=0 if facts.cancelled else max(0, amount - total(merchants) - by_hand),
        left=captured - total(refund for refund in refunds if refund.state in ALIVE) - disputed,
    )


def _for_excess(by_hand: Iterable[Refund], charges: Iterable[Charge], amount: int) -> int:
    """As much of each refund by hand as there was charged too much just then, and not answered by one before."""
    answered = 0
    for made_at, refunded in sorted((one.made_at, one.amount_minor) for one in by_hand if one.made_at):
        charged = sum(charge.amount_minor for charge in charges if charge.at and charge.at <= made_at)
        answered += max(0, min(refunded, charged - amount - answered))
    return answered


def status(facts: Facts) -> str:
    """What an order with these facts is."""
    if facts.cancelled:
        return "Cancelled"
    if not facts.succeeded:
        charged = {charge.reference for charge in facts.charges.values()}
        pending = any(charge.state == "pending" for charge in facts.charges.values())
        ended = [one.in_vain or (one.over and one.reference in charged) for one in facts.attempts]
        return "Failed" if all(ended) and not pending else "Pending"
    given_back = sums(facts).given_back
    if given_back == 0:
        return "Paid"
    return "PartiallyRefunded" if given_back < facts.amount_minor else "Refunded"


def causes(order_id: str, facts: Facts) -> Iterator[tuple[str, str]]:
    """What of its money a person must look at: the code of a review, and what it is about."""
    for dispute_id, dispute in facts.disputes.items():
        if dispute.state in STANDING:
            yield "dispute", dispute_id
    for refund_id, refund in facts.refunds.items():
        if refund.cause == "merchant" and refund.state in MISSED:
            yield "refund-failed", refund_id
    yield from _causes_in_charges(facts)
    if not facts.cancelled:
        yield from _causes_in_the_order(order_id, facts)


def _causes_in_charges(facts: Facts) -> Iterator[tuple[str, str]]:
    owed = sums(facts).owed
    for charge_id, charge in facts.succeeded.items():
        refunds = [refund for refund in facts.refunds.values() if refund.charge_id == charge_id]
        disputed = total(one for one in facts.disputes.values() if one.charge_id == charge_id and one.state in STANDING)
        if disputed and disputed + total(one for one in refunds if one.state in ALIVE) > charge.amount_minor:
            yield "refunded-and-disputed", charge_id
        automatic = [refund for refund in refunds if refund.cause in AUTOMATIC]
        missed = [one for one in automatic if one.state in MISSED and one.failure_code not in NEVER_SENT]
        asked = any(one.state == "requested" for one in automatic)
        if len(missed) >= TRIES_BEFORE_A_REVIEW and (owed or asked):
            yield "not-given-back", charge_id


def _causes_in_the_order(order_id: str, facts: Facts) -> Iterator[tuple[str, str]]:
    of_order = sums(facts)
    if of_order.excess and of_order.for_excess:
        yield "second-charge", order_id
    twice = of_order.automatic + of_order.for_excess > of_order.excess
    if twice or of_order.merchant + of_order.by_hand > facts.amount_minor:
        yield "given-back-twice", order_id


def total(facts: Iterable[Charge | Refund | Dispute]) -> int:
    return sum(fact.amount_minor for fact in facts)
