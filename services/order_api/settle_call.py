"""Settles an order's call after an attempt, or gives back its claim. Pure. C11, C15"""

from collections.abc import Callable
from datetime import datetime

import msgspec

from order_api.calls import (
    Accepted,
    Call,
    Decision,
    Refused,
    Reply,
    Retry,
    Try,
    Unavailable,
    Withdrawn,
    decide,
    settled,
)
from order_api.facts import Charge, Fact
from order_api.merge import merge
from order_api.money import AUTOMATIC
from order_api.order import Order
from order_api.outbox import call_by_id, with_call
from order_api.questions import in_doubt
from shared.documents import Verdict


def settling(
    order: Order | None, call: Call, reply: Reply, this_try: Try, *, at: datetime, now: datetime | None
) -> Verdict[Order, bool]:
    """Settles `call` after an attempt. The answer says whether its claim still stood; if not, nothing is changed. C11"""
    known = None if order is None else call_by_id(order, call.id)
    if order is None or known is None or now is None or known.claim != call.claim or known.state != "open":
        return Verdict(known is not None and known.settled_claim == call.claim, found=True)
    must_go_back = any(refund.id == call.refund_id and refund.cause in AUTOMATIC for refund in order.refunds)
    decision = decide(call, reply, now=now, must_go_back=must_go_back)
    after = with_call(order, settled(_under(call.claim, known), decision, this_try, now=now))
    match decision:
        case Retry():
            return Verdict(True, after)
        case Accepted(adopted=True) | Withdrawn() if call.kind == "charge":
            after = in_doubt(after)  # what the provider has may not be all: an earlier attempt may be on its way. C22
    return Verdict(True, merge(after, *_facts(call, decision, order, at), now=at, cause=call.id))


def releasing(
    order: Order | None, call: Call, now: datetime | None, release: Callable[[Call, datetime], Call]
) -> Verdict[Order, None]:
    """Gives back the claim of `call` by `release`. If it does not stand any more, nothing is changed. C11"""
    known = None if order is None else call_by_id(order, call.id)
    if order is None or known is None or now is None or known.claim != call.claim or known.state != "open":
        return Verdict(None, found=True)
    return Verdict(None, with_call(order, release(_under(call.claim, known), now)))


def _under(claim: str | None, known: Call) -> Call:
    """The call under the claim of this process. It is settled under that claim and not under the one that was read, so that
    anybody who watches the collection can tell the two apart. C11
    """
    return msgspec.structs.replace(known, claim=claim)


def tried(reply: Reply, at: datetime, *, ms: int) -> Try:
    match reply:
        case Accepted(id, adopted=adopted):
            return Try(at=at, ms=ms, outcome="accepted", reason=f"{'found' if adopted else 'made'} {id}")
        case Refused(status, code):
            return Try(at=at, ms=ms, outcome="refused", status=status, reason=code)
        case Unavailable(reason):
            return Try(at=at, ms=ms, outcome="unavailable", reason=reason)
        case Withdrawn():
            return Try(at=at, ms=ms, outcome="withdrawn")


def _facts(call: Call, decision: Decision, order: Order, at: datetime) -> list[Fact]:
    """The facts that the order learns from a reply: a charge exists, or a refund was refused. Never that it is paid. C15"""
    match decision:
        case Accepted(charge_id, amount_minor, made_at) if call.kind == "charge":
            reference = call.reference
            return [Charge(id=charge_id, reference=reference, state="pending", amount_minor=amount_minor, at=made_at)]
        case Refused(_, code):  # only a definite refusal releases what a refund has reserved. C18
            return [
                msgspec.structs.replace(refund, state="refused", failure_code=code, at=at)
                for refund in order.refunds
                if refund.id == call.refund_id and refund.state == "requested"
            ]
    return []
