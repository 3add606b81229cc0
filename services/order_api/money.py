"""All arithmetic of an order's money: what came in, what went back, what may be kept and what must go back. Pure.

Amounts are whole minor units of the order's currency. All sums are over the whole order, so it does not matter which of its
charges succeeded first (C1). A refund or dispute counts once the order has learned that its charge succeeded.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TypeVar

import msgspec

from order_api.calls import has_ended
from order_api.facts import Charge, Dispute, Refund, alive, standing
from order_api.order import Order, Status, attempts, charges_of

_Taking = TypeVar("_Taking", Refund, Dispute)
AUTOMATIC = frozenset({"cancelled", "duplicateCharge"})  # the causes of refunds that the service asks for by itself


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """The sums of an order's facts."""

    captured: int
    excess: int  # what was charged beyond the order's amount
    for_excess: int  # the part of the refunds by hand that answers an excess which was there when they were made
    by_hand: int  # the rest of the refunds by hand: it counts as the merchant's will
    automatic: int  # the refunds by itself that have succeeded
    merchant: int  # the merchant's refunds that have succeeded
    given_back: int  # shown as refundedAmount
    disputed: int
    keep: int  # what the merchant may keep
    left: int  # what has not gone back and is not disputed; it may be negative
    owed: int  # what must go back by itself
    refundable: int  # what the merchant may give back


def sums(order: Order) -> Sums:
    charges = succeeded(order)
    captured = sum(charge.amount_minor for charge in charges)
    excess = max(0, captured - order.amount_minor)
    refunds = _counted(order.refunds, charges)
    hand = _succeeded([refund for refund in refunds if refund.cause == "provider"])
    for_excess = _for_excess(hand, charges, order.amount_minor)
    by_hand = _total(hand) - for_excess
    automatic = _total(_succeeded([refund for refund in refunds if refund.cause in AUTOMATIC]))
    merchants = [refund for refund in refunds if refund.cause == "merchant"]
    merchant = _total(_succeeded(merchants))
    disputed = _total(standing(_counted(order.disputes, charges)))
    cancelled = order.cancelled_at is not None
    keep = 0 if cancelled else max(0, order.amount_minor - _total(alive(merchants)) - by_hand)
    left = captured - _total(alive(refunds)) - disputed
    given_back = merchant + by_hand + max(0, automatic + for_excess - excess)
    return Sums(
        captured=captured,
        excess=excess,
        for_excess=for_excess,
        by_hand=by_hand,
        automatic=automatic,
        merchant=merchant,
        given_back=min(order.amount_minor, given_back),
        disputed=disputed,
        keep=keep,
        left=left,
        owed=max(0, left - keep),
        refundable=0 if cancelled else max(0, min(left, keep)),
    )


def derive(order: Order) -> Status:
    """The status that the facts amount to."""
    if order.cancelled_at is not None:
        return "Cancelled"
    if not succeeded(order):
        return "Failed" if _has_failed(order) else "Pending"
    given_back = sums(order).given_back if order.refunds else 0
    if given_back == 0:
        return "Paid"
    return "PartiallyRefunded" if given_back < order.amount_minor else "Refunded"


def _has_failed(order: Order) -> bool:
    """Whether no charge is pending and every attempt has ended with nothing charged. Attempts and charges are not counted
    against each other, because one attempt may have two charges.
    """
    made = attempts(order)
    if not made or any(charge.state == "pending" for charge in order.charges):
        return False
    return all(has_ended(attempt) or (attempt.state == "done" and charges_of(order, attempt)) for attempt in made)


class Part(msgspec.Struct, frozen=True):
    """An amount of one charge."""

    charge: Charge
    amount_minor: int


def parts_owed(order: Order) -> list[Part]:
    """Splits what is owed over the charges (C2: what must go back goes back by itself). One charge keeps what may be kept:
    the earliest with room for all of it, or else the one with the most room. The others give first, the latest before the
    earlier.
    """
    charges = succeeded(order)
    if len(charges) < 2 and order.cancelled_at is None and not order.refunds:  # as nearly all orders are
        return []
    of_order = sums(order)
    rest = of_order.owed
    if rest == 0:
        return []
    kept = next((one for one in charges if room(order, one) >= of_order.keep), None)
    kept = kept or max(charges, key=lambda one: room(order, one))
    parts = []
    for charge in [*(one for one in reversed(charges) if one is not kept), kept]:
        if taken := min(rest, room(order, charge)):
            parts.append(Part(charge, taken))
            rest -= taken
    return parts


class NotRefundable(msgspec.Struct, frozen=True):
    """No charge has succeeded, or the order is cancelled. What was paid for a cancelled order is given back by itself."""


class ExceedsPaid(msgspec.Struct, frozen=True):
    """The refund is larger than `left_minor`, the most that is still to be had from one charge. `disputes` are the ids of
    the disputes that hold back more.
    """

    left_minor: int
    currency: str
    exponent: int
    disputes: tuple[str, ...] = ()


def refundable(order: Order, amount_minor: int | None = None) -> Part | NotRefundable | ExceedsPaid:
    """Chooses the charge that a merchant's refund is taken from: the one with the least room that is enough, the latest of
    equals. Without an amount the refund is all that one charge may give back. C18: no more is refunded than was paid.
    """
    charges = succeeded(order)
    if not charges or order.cancelled_at is not None:
        return NotRefundable()
    rooms = [(room(order, charge), -place, charge) for place, charge in enumerate(charges)]
    most = min(sums(order).refundable, max(rooms)[0])
    wanted = most if amount_minor is None else amount_minor
    if not 0 < wanted <= most:
        disputes = tuple(one.id for one in standing(_counted(order.disputes, charges)))
        return ExceedsPaid(most, order.currency, order.exponent, disputes)
    return Part(min(one for one in rooms if one[0] >= wanted)[2], wanted)


def succeeded(order: Order) -> list[Charge]:
    """The charges that have succeeded, the earliest first by the provider's clock."""
    return sorted((one for one in order.charges if one.state == "succeeded"), key=lambda one: (one.at, one.id))


def room(order: Order, charge: Charge) -> int:
    """How much of a charge is neither given back, nor asked for, nor disputed."""
    return max(0, charge.amount_minor - taken_of(order, charge.id))


def taken_of(order: Order, charge_id: str) -> int:
    """How much of a charge is given back, asked for or disputed. It may be more than there is."""
    refunds = [refund for refund in alive(order.refunds) if refund.charge_id == charge_id]
    disputes = [dispute for dispute in standing(order.disputes) if dispute.charge_id == charge_id]
    return _total(refunds) + _total(disputes)


def _for_excess(by_hand: Sequence[Refund], charges: Sequence[Charge], amount_minor: int) -> int:
    """Adds up the refunds by hand in the order they were made. Each counts only up to the excess that was there then.
    `charges` are the earliest first.
    """
    answered = captured = 0
    later = deque(charges)
    for refund in sorted(by_hand, key=lambda one: (_made_at(one), one.id)):
        while later and later[0].at <= _made_at(refund):
            captured += later.popleft().amount_minor
        answered = max(answered, min(answered + refund.amount_minor, captured - amount_minor))
    return answered


def _made_at(refund: Refund) -> datetime:
    return refund.made_at or refund.at


def _counted(facts: Sequence[_Taking], charges: Sequence[Charge]) -> list[_Taking]:
    """The refunds or disputes whose charge has succeeded."""
    ids = {charge.id for charge in charges}
    return [fact for fact in facts if fact.charge_id in ids]


def _succeeded(refunds: Sequence[Refund]) -> list[Refund]:
    return [refund for refund in refunds if refund.state == "succeeded"]


def _total(facts: Iterable[Charge | Refund | Dispute]) -> int:
    return sum(fact.amount_minor for fact in facts)
