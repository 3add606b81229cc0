"""C1: facts merge commutatively, associatively, idempotently, whatever they are."""

from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import combinations, pairwise, product
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from order_api.facts import (
    Cancellation,
    Charge,
    ChargeState,
    Dispute,
    DisputeState,
    Fact,
    Refund,
    RefundCause,
    RefundState,
    Review,
)
from order_api.merge import knowing as facts_alone
from order_api.merge import merge
from order_api.money import derive, sums
from order_api.order import Order
from order_api.reviews import with_reviews
from tests.unit.order_api.examples import (
    AMOUNT,
    EARLIER,
    LATER,
    LATEST,
    NOW,
    ORDER_ID,
    a_charge,
    a_refund,
    a_review,
    an_order,
    at,
    knowing,
)

CHARGE_STATES: tuple[ChargeState, ...] = ("pending", "failed", "succeeded")
REFUND_STATES: tuple[RefundState, ...] = ("requested", "refused", "succeeded", "failed")
DISPUTE_STATES: tuple[DisputeState, ...] = ("open", "won", "lost")
CAUSES: tuple[RefundCause, ...] = ("merchant", "cancelled", "duplicateCharge", "provider")
CHARGE_IDS = st.sampled_from([LATER, EARLIER, LATEST])
TIMES = st.integers(-3, 3).map(at)
CODES = st.sampled_from(["card_declined", "expired_card"])


@st.composite
def charges(draw: st.DrawFn) -> Charge:
    state: ChargeState = draw(st.sampled_from(CHARGE_STATES))
    code = draw(CODES) if state == "failed" else None
    amount = draw(st.sampled_from([AMOUNT, 1]))
    return Charge(id=draw(CHARGE_IDS), state=state, amount_minor=amount, failure_code=code, at=draw(TIMES))


@st.composite
def refunds(draw: st.DrawFn) -> Refund:
    """What one refund is of and for how much never changes: only its state, code and times do, and by which id the provider
    knows it. Under one id of ours the provider may have made two.
    """
    number = draw(st.integers(0, 8))
    state: RefundState = draw(st.sampled_from(REFUND_STATES))
    told = draw(st.sampled_from(["re_1", "re_2"])) if state in {"succeeded", "failed"} else None
    return Refund(
        id=f"rf_{number}",
        provider_id=told,
        charge_id=[EARLIER, LATER, LATEST][number % 3],
        amount_minor=[1, 4000, AMOUNT][number // 3],
        state=state,
        cause=CAUSES[number % 4],
        failure_code=draw(CODES) if state == "failed" else None,
        made_at=draw(TIMES) if told else None,
        at=draw(TIMES),
    )


@st.composite
def disputes(draw: st.DrawFn) -> Dispute:
    number = draw(st.integers(0, 3))
    return Dispute(
        id=f"dp_{number}",
        charge_id=[EARLIER, LATER][number % 2],
        amount_minor=[4000, AMOUNT][number // 2],
        state=draw(st.sampled_from(DISPUTE_STATES)),
        reason="?",
        at=draw(TIMES),
    )


@st.composite
def reviews(draw: st.DrawFn) -> Review:
    """Raised by an event, decided or not; and decisions about what the facts themselves raise."""
    code, source = draw(
        st.sampled_from([("event-mismatch", "evt_1"), ("second-charge", ORDER_ID), ("refund-failed", "rf_0")])
    )
    resolved_at = draw(st.none() | TIMES) if code == "event-mismatch" else draw(TIMES)
    return Review(
        code=code,
        event_id=source,
        detail=draw(st.sampled_from(["this", "that"])),
        raised_at=draw(TIMES),
        resolved_at=resolved_at,
        decision=draw(st.sampled_from(["accept", "refund"])) if resolved_at else None,
    )


FACTS = st.lists(st.one_of(charges(), refunds(), disputes(), reviews(), TIMES.map(Cancellation)), max_size=12)


@st.composite
def two_arrivals(draw: st.DrawFn) -> tuple[list[Fact], list[Fact]]:
    """The same facts twice, each time in some order and some of them more than once."""
    facts = draw(FACTS)
    again = st.lists(st.sampled_from(facts), max_size=6) if facts else st.just([])
    first, second = (draw(st.permutations(facts + draw(again))) for _ in range(2))
    return list(first), list(second)


def facts_of(order: Order) -> tuple[Any, ...]:
    """Arrays stand in order of arrival, and mean sets."""
    arrays = (order.charges, order.refunds, order.disputes, order.reviews)
    assert all(len({*array}) == len(array) for array in arrays)
    return (*(frozenset[Any](array) for array in arrays), order.cancelled_at)


def comes_to(order: Order) -> tuple[Any, ...]:
    """What the facts amount to, all of which must be a function of them."""
    open_ones = {(one.code, one.event_id) for one in with_reviews(order, now=NOW).reviews if one.resolved_at is None}
    return (derive(order), sums(order), open_ones)


def every_pair(versions: Callable[..., Fact], *variations: Iterable[Any]) -> list[tuple[Fact, Fact]]:
    return list(combinations([versions(*values) for values in product(*variations)], 2))


def charge_version(state: ChargeState, amount: int, code: str | None, seconds: int) -> Charge:
    return Charge(id=LATER, state=state, amount_minor=amount, failure_code=code, at=at(seconds))


def refund_version(told: str | None, state: RefundState, amount: int, code: str | None, seconds: int) -> Refund:
    refund = a_refund(state, amount, seconds=seconds)
    made_at = at(seconds) if told else None
    return msgspec.structs.replace(refund, provider_id=told, failure_code=code, made_at=made_at)


def dispute_version(state: DisputeState, amount: int, seconds: int) -> Dispute:
    return Dispute(id="dp_1", charge_id=EARLIER, amount_minor=amount, state=state, reason="?", at=at(seconds))


def review_version(detail: str, raised: int, resolved: tuple[int, str] | None) -> Review:
    review = a_review(seconds=raised)
    at_, decision = (at(resolved[0]), resolved[1]) if resolved else (None, None)
    return msgspec.structs.replace(review, detail=detail, resolved_at=at_, decision=decision)


@pytest.mark.parametrize(
    "pairs",
    [
        every_pair(charge_version, CHARGE_STATES, [AMOUNT, 1], [None, "a", "b"], [0, 5]),
        every_pair(refund_version, [None, "re_1", "re_2"], REFUND_STATES, [1, 4000], [None, "a"], [0, 5]),
        every_pair(dispute_version, DISPUTE_STATES, [1, 4000], [0, 5]),
        every_pair(review_version, ["a", "b"], [0, 5], [None, (6, "accept"), (6, "refund"), (9, "accept")]),
    ],
    ids=["charge", "refund", "dispute", "review"],
)
def test_any_two_reports_of_one_thing_merge_to_the_same_whichever_comes_first(pairs: list[tuple[Fact, Fact]]) -> None:
    """C1, exhaustively: the versions of one fact are totally ordered."""
    paid = an_order(a_charge("succeeded"))
    for one, other in pairs:
        assert facts_of(facts_alone(paid, [one, other])) == facts_of(facts_alone(paid, [other, one]))


@given(two_arrivals())
def test_any_permutation_and_duplication_gives_equal_facts_and_status(arrivals: tuple[list[Fact], list[Fact]]) -> None:
    """C1"""
    one, other = (facts_alone(an_order(), facts) for facts in arrivals)
    assert facts_of(one) == facts_of(other)
    assert comes_to(one) == comes_to(other)


@given(FACTS)
def test_merging_again_what_is_known_returns_the_very_same_order(facts: list[Fact]) -> None:
    """C1: idempotent; nobody writes an order that has not changed."""
    order = knowing(an_order(), facts)
    assert merge(order, *facts, now=at(1000), cause="again") is order


@given(FACTS, FACTS)
def test_what_is_learned_in_two_parts_is_what_is_learned_at_once(some: list[Fact], rest: list[Fact]) -> None:
    """C1: associative. Merging the facts of one order into the other is merging the facts it was made of."""
    apart = facts_alone(facts_alone(an_order(), some), known(facts_alone(an_order(), rest)))
    assert facts_of(apart) == facts_of(facts_alone(an_order(), [*some, *rest]))


def known(order: Order) -> Iterable[Fact]:
    cancellation = [Cancellation(order.cancelled_at)] if order.cancelled_at else []
    return [*order.charges, *order.refunds, *order.disputes, *order.reviews, *cancellation]


@given(FACTS)
def test_the_stored_status_is_always_the_derived_one(facts: list[Fact]) -> None:
    order = knowing(an_order(), facts)
    assert order.status == derive(order)


@given(FACTS)
def test_merging_leaves_the_order_it_was_given_alone(facts: list[Fact]) -> None:
    order = an_order()
    before = msgspec.structs.replace(order)
    knowing(order, facts)
    assert order == before


@given(FACTS)
def test_the_history_tells_every_change_of_status_and_nothing_else(facts: list[Fact]) -> None:
    order = knowing(an_order(), facts)
    told = ["Pending", *(change.status for change in order.history)]
    assert all(one != following for one, following in pairwise(told))
    assert told[-1] == order.status


def test_a_change_of_status_says_when_and_why() -> None:
    paid = merge(an_order(), a_charge("succeeded"), now=at(5), cause="payment.succeeded evt_1")
    (change,) = paid.history
    assert (change.status, change.at, change.cause) == ("Paid", at(5), "payment.succeeded evt_1")
    assert paid.updated_at == at(5)


def test_the_version_is_left_to_whoever_writes_the_order() -> None:
    assert an_order(a_charge("succeeded")).version == an_order().version


def test_the_earliest_report_of_a_state_is_the_one_that_is_kept() -> None:
    order = an_order(a_charge("succeeded", seconds=5), a_charge("succeeded", seconds=2))
    assert order.charges == (a_charge("succeeded", seconds=2),)


def test_the_earliest_cancellation_is_the_one_that_is_kept() -> None:
    assert an_order(Cancellation(at(5)), Cancellation(at(2)), Cancellation(at(9))).cancelled_at == at(2)


def test_a_resolved_review_is_not_raised_again_by_the_event_that_raised_it() -> None:
    order = an_order(a_review(resolved=True), a_review(seconds=30))
    assert order.reviews == (a_review(resolved=True),)


def test_a_merged_order_is_still_the_same_order() -> None:
    assert an_order(a_charge("succeeded"), a_review()).id == ORDER_ID


def test_times_of_other_zones_are_the_same_fact() -> None:
    fact = a_charge("succeeded")
    tokyo = msgspec.structs.replace(fact, at=datetime.fromisoformat("2024-03-01T21:00:00+09:00"))
    order = an_order(fact)
    assert knowing(order, [tokyo]) is order
