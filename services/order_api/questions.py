"""What of an order's money we do not know for certain: the provider is asked about it until nothing is left. Pure. C22"""

from datetime import datetime, timedelta

from msgspec.structs import replace

from order_api.facts import alive, standing
from order_api.money import succeeded, sums
from order_api.order import Order, attempts

ASKS_IN_DOUBT = 3  # answers of the provider, with growing pauses: a request that was on its way has arrived by then


def has_open_question(order: Order) -> bool:
    """Whether money may have moved, or may yet move, without our knowing. Reconciliation asks until this is false."""
    return order.asks_left > 0 or bool(open_questions(order))


def open_questions(order: Order) -> set[str]:
    """What the provider is asked about: by their ids or references, attempts that no charge is known of, charges, refunds
    and disputes that have not ended, and what is owed. Also a refund or dispute whose charge has not succeeded as far as we
    know, unless that charge is one of other money.
    """
    charged = {charge.reference or order.id for charge in order.charges}
    questions = {
        attempt.reference
        for attempt in attempts(order)
        if attempt.state != "void" and attempt.refused_code is None and attempt.reference not in charged
    }
    questions |= {charge.id for charge in order.charges if charge.state == "pending"}
    if not order.refunds and not order.disputes and order.cancelled_at is None and len(order.charges) < 2:
        return questions
    questions |= {refund.id for refund in order.refunds if refund.state == "requested"}
    questions |= {dispute.id for dispute in order.disputes if dispute.state == "open"}
    settled = {charge.id for charge in succeeded(order)} | {
        review.charge_id for review in order.reviews if review.code == "event-mismatch"
    }
    questions |= {refund.id for refund in alive(order.refunds) if refund.charge_id not in settled}
    questions |= {dispute.id for dispute in standing(order.disputes) if dispute.charge_id not in settled}
    return questions | ({"owed"} if sums(order).owed else set())


def in_doubt(order: Order) -> Order:
    """The order after a charge call has ended without an answer of its own. There may be a charge that we have not learned,
    so the provider is asked some more times, whatever the facts say.
    """
    return replace(order, asks_left=ASKS_IN_DOUBT)


def answered(order: Order, asks_left: int) -> Order:
    """The order after the provider has answered a question that was asked while `asks_left` were left."""
    if order.asks_left == 0 or order.asks_left != asks_left:  # the doubt came up after the question was asked
        return order
    return replace(order, asks_left=asks_left - 1)


def scheduled(before: Order, after: Order, *, now: datetime, pause: timedelta) -> Order:
    """`after`, what `before` has become, with the time when the provider is asked about it: after `pause` if there is a new
    question, and an older one is not put off.
    """
    if not has_open_question(after):
        return replace(after, reconcile_at=None)
    soon = now + pause
    if after.asks_left > before.asks_left or not has_open_question(before):
        return replace(after, reconcile_at=soon, reconcile_attempts=0)
    if open_questions(after) - open_questions(before):
        return replace(after, reconcile_at=min(soon, after.reconcile_at or soon), reconcile_attempts=0)
    return after
