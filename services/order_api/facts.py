"""The facts that an order has learned about its money. Each fact only grows. Pure.

C1: the order of arrival does not matter, because joining two versions is commutative, associative and idempotent.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import chain
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Meta

ChargeState = Literal["pending", "failed", "succeeded"]
RefundState = Literal["requested", "refused", "succeeded", "failed"]
RefundCause = Literal["merchant", "cancelled", "duplicateCharge", "provider"]
DisputeState = Literal["open", "won", "lost"]
# An `extra_json_schema` is checked by the database when an order is written; reading it costs nothing more.
AmountMinor = Annotated[int, Meta(extra_json_schema={"minimum": 1})]

_CHARGE_GROWTH: dict[ChargeState, int] = {"pending": 0, "failed": 1, "succeeded": 2}  # success beats failure
_REFUND_GROWTH: dict[RefundState, int] = {"requested": 0, "refused": 1, "succeeded": 2, "failed": 3}  # and here failure
_DISPUTE_GROWTH: dict[DisputeState, int] = {"open": 0, "won": 1, "lost": 2}


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """A charge as far as we know it, by the provider's id. `reference` is that of the attempt which it pays; of a charge
    that succeeded, `at` is when it did by the provider's clock.
    """

    id: str
    reference: str | None = None
    state: ChargeState
    amount_minor: AmountMinor
    failure_code: str | None = None
    at: datetime


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """A refund that we asked for, by our id, or one that was made at the provider by hand, by an id derived from its own.

    Until the provider has reported it, `provider_id` and `made_at` are None. `number` is the merchant's own.
    """

    id: str
    charge_id: str
    amount_minor: AmountMinor
    state: RefundState = "requested"
    cause: RefundCause
    failure_code: str | None = None
    provider_id: str | None = None
    number: str | None = None
    made_at: datetime | None = None
    at: datetime


class Dispute(msgspec.Struct, frozen=True, kw_only=True):
    """A charge that the customer disputes at the bank, by the provider's id."""

    id: str
    charge_id: str
    amount_minor: AmountMinor
    state: DisputeState
    reason: str
    at: datetime


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """Something a person must look at. `event_id` names its cause: an event, charge, refund, dispute or call, or the order.
    It is open while `resolved_at` is None: until a person has decided, or the cause is gone. `charge_id` is the charge that
    a mismatch is about.
    """

    code: str
    event_id: str
    detail: str
    raised_at: datetime
    resolved_at: datetime | None = None
    decision: str | None = None
    charge_id: str | None = None


class Cancellation(msgspec.Struct, frozen=True):
    at: datetime


Fact: TypeAlias = Charge | Refund | Dispute | Review | Cancellation
_Keyed = TypeVar("_Keyed", Charge, Refund, Dispute, Review)


def joined(known: tuple[_Keyed, ...], fact: _Keyed) -> tuple[_Keyed, ...]:
    """The least set of facts that includes `known` and `fact`, one for each key, in order of arrival."""
    place = next((place for place, one in enumerate(known) if _same(one, fact)), None)
    if place is None:
        return tuple(chain(known, (fact,)))
    kept = max(known[place], fact, key=_growth)
    return known if kept == known[place] else tuple(chain(known[:place], (kept,), known[place + 1 :]))


def _same(one: Charge | Refund | Dispute | Review, fact: Charge | Refund | Dispute | Review) -> bool:
    """Whether they are one fact. Under one id of ours the provider may have made two refunds; our request is the one that it
    reports.
    """
    if isinstance(one, Review) and isinstance(fact, Review):
        return (one.code, one.event_id) == (fact.code, fact.event_id)
    if isinstance(one, Review) or isinstance(fact, Review) or one.id != fact.id:
        return False
    if isinstance(one, Refund) and isinstance(fact, Refund):
        return None in (one.provider_id, fact.provider_id) or one.provider_id == fact.provider_id
    return True


def _growth(fact: Charge | Refund | Dispute | Review) -> tuple[Any, ...]:
    """Orders all versions of one fact totally, so the larger of two is the same whichever came first."""
    match fact:
        case Charge(state=state, at=at):
            texts = (_or_less(fact.failure_code), _or_less(fact.reference))
            return (_CHARGE_GROWTH[state], -at.timestamp(), fact.amount_minor, *texts)
        case Refund(state=state, at=at):
            told = fact.provider_id is not None  # what the provider says replaces what we asked and what a reply said
            made = -fact.made_at.timestamp() if fact.made_at else 0.0
            words = (_or_less(fact.failure_code), fact.charge_id, fact.cause, _or_less(fact.number))
            return (told, _REFUND_GROWTH[state], made, -at.timestamp(), fact.amount_minor, *words)
        case Dispute(state=state, at=at):
            return (_DISPUTE_GROWTH[state], -at.timestamp(), fact.amount_minor, fact.charge_id, fact.reason)
        case Review():
            decided = -fact.resolved_at.timestamp() if fact.decision and fact.resolved_at else 0.0
            decision = _or_less(fact.decision)
            about = _or_less(fact.charge_id)
            return (decision[0], decided, decision, -fact.raised_at.timestamp(), fact.detail, about)


def _or_less(text: str | None) -> tuple[bool, str]:
    return (text is not None, text or "")


def alive(refunds: Sequence[Refund]) -> list[Refund]:
    """Those that are asked for or have succeeded."""
    return [refund for refund in refunds if refund.state in {"requested", "succeeded"}]


def standing(disputes: Sequence[Dispute]) -> list[Dispute]:
    """Those that are open or lost: a dispute that was won never was."""
    return [dispute for dispute in disputes if dispute.state != "won"]
