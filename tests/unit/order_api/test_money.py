"""What an order's money comes to: the worked orders of docs/money.md, and what is true of all orders. C1, C2"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from order_api.facts import Charge, Dispute, Fact, Refund
from order_api.merge import merge
from order_api.money import AUTOMATIC, ExceedsPaid, NotRefundable, Part, refundable, room, succeeded, sums
from order_api.order import attempt_reference
from order_api.outbox import charge_call, with_call, with_refund_asked
from order_api.questions import has_open_question
from tests.unit.order_api.examples import CANCELLED, NOW, ORDER_ID, an_order

PAGE = Path(__file__).parents[3] / "docs" / "money.md"
AMOUNT = 10


class Life:
    """An order of ten as things happen to it, a minute apart."""

    def __init__(self, amount: int = AMOUNT) -> None:
        self.order = msgspec.structs.replace(an_order(), amount_minor=amount)
        self.now = NOW
        self.paid_again = 0

    def learn(self, *facts: Fact) -> None:
        self.now += timedelta(minutes=1)
        self.order = merge(self.order, *facts, now=self.now, cause="test")
        calls = tuple(msgspec.structs.replace(call, attempts=1) for call in self.order.calls)  # each is sent at once
        self.order = msgspec.structs.replace(self.order, calls=calls)

    def charge(self, name: str, state: Any) -> None:
        number = 2 if name == "Z" else 1
        reference = attempt_reference(ORDER_ID, number)
        self.learn(
            Charge(
                id=name, reference=reference, state=state, amount_minor=self.order.amount_minor, at=at_minute(self.now)
            )
        )

    def refund(self, amount: int, name: str, cause: Any = "merchant", state: Any = "succeeded") -> None:
        number = len(self.order.refunds)
        self.learn(
            Refund(
                id=f"rf_{number}",
                provider_id=None if state == "requested" else f"re_{number}",
                charge_id=name,
                amount_minor=amount,
                state=state,
                cause=cause,
                made_at=at_minute(self.now),
                at=at_minute(self.now),
            )
        )

    def dispute(self, amount: int, name: str, state: Any = "open") -> None:
        self.learn(Dispute(id=f"dp_{name}", charge_id=name, amount_minor=amount, state=state, reason="?", at=NOW))

    def give_back(self, state: Any) -> None:
        """What the service has asked for by itself ends so."""
        asked = [one for one in self.order.refunds if one.cause in AUTOMATIC and one.state == "requested"]
        ended = {"state": state, "at": at_minute(self.now)}
        self.learn(*(msgspec.structs.replace(one, provider_id=f"re_{one.id}", **ended) for one in asked))

    def pay_again(self) -> None:
        self.now += timedelta(minutes=1)
        call = charge_call(self.order, "pm_2", at=self.now)
        done = msgspec.structs.replace(call, state="done", attempts=1, due_at=None)
        again = msgspec.structs.replace(self.order, calls=(*self.order.calls, done))
        self.order = merge(again, now=self.now, cause="paid again")


def at_minute(now: datetime) -> datetime:
    return now + timedelta(minutes=1)


def live(steps: str) -> Life:
    life = Life()
    for step in steps.split(", "):
        words = step.split(" ")
        _STEPS[" ".join(word for word in words if not word.isdigit() and word not in "XYZ")](
            life, *(int(word) if word.isdigit() else word for word in words if word.isdigit() or word in "XYZ")
        )
    return life


def end_dispute(life: Life, state: Any) -> None:
    [dispute] = life.order.disputes
    life.learn(msgspec.structs.replace(dispute, state=state))


_STEPS: dict[str, Callable[..., None]] = {
    "paid": lambda life, name: life.charge(name, "succeeded"),
    "failed": lambda life, name: life.charge(name, "failed"),
    "refund of": lambda life, amount, name: life.refund(amount, name),
    "by hand of": lambda life, amount, name: life.refund(amount, name, "provider"),
    "dispute of": lambda life, amount, name: life.dispute(amount, name),
    "won": lambda life: end_dispute(life, "won"),
    "lost": lambda life: end_dispute(life, "lost"),
    "given back": lambda life: life.give_back("succeeded"),
    "not given back": lambda life: life.give_back("failed"),
    "pay again": Life.pay_again,
    "cancel": lambda life: life.learn(CANCELLED),
}


def worked_orders() -> list[list[str]]:
    rows = re.findall(r"^\| (.+) \|$", PAGE.read_text(), re.MULTILINE)
    return [[cell.strip() for cell in row.split("|")] for row in rows[1:]]


def test_the_page_works_out_a_dozen_orders() -> None:
    assert len(worked_orders()) >= 12


@pytest.mark.parametrize("row", worked_orders(), ids=lambda row: row[0])
def test_c1_each_order_of_the_page_comes_to_what_it_says(row: list[str]) -> None:
    steps, status, refunded, disputed, may, asked, reviews = row
    order = live(steps).order
    of_order = sums(order)
    automatic = [f"{one.amount_minor} of {one.charge_id}" for one in order.refunds if one.cause in AUTOMATIC]
    raised = sorted(review.code for review in order.reviews if review.resolved_at is None)
    assert (order.status, of_order.given_back, of_order.disputed) == (status, int(refunded), int(disputed))
    assert of_order.refundable == int(may)
    assert sorted(set(automatic)) == [one for one in asked.split(", ") if one]
    assert raised == [code for code in reviews.split(", ") if code]


def test_c18_a_refund_is_of_the_charge_with_the_least_room_that_is_enough_and_the_latest_of_equals() -> None:
    order = live("X paid, Y paid").order
    [automatic] = order.refunds
    order = msgspec.structs.replace(order, amount_minor=20, refunds=())  # both may be kept
    x, y = succeeded(order)
    assert refundable(order, 10) == refundable(order) == Part(y, 10)
    taken = msgspec.structs.replace(automatic, cause="merchant", charge_id="X", amount_minor=4)
    order = msgspec.structs.replace(order, refunds=(taken,))
    assert (room(order, x), room(order, y)) == (6, 10)
    assert refundable(order, 6) == Part(x, 6)
    assert refundable(order, 7) == refundable(order, 7) == Part(y, 7)
    assert refundable(order) == Part(y, 10)
    assert refundable(order, 11) == ExceedsPaid(10, "USD", 2), "sixteen is left, and no charge has eleven"


def test_c18_what_is_disputed_cannot_be_refunded_and_the_refusal_names_the_dispute() -> None:
    order = live("X paid, dispute 4 of X").order
    assert refundable(order, 7) == ExceedsPaid(6, "USD", 2, ("dp_X",))
    assert refundable(order, 6) == refundable(order) == Part(order.charges[0], 6)
    assert refundable(live("X paid, dispute 4 of X, won").order, 10) == Part(order.charges[0], 10)


@pytest.mark.parametrize("steps", ["X failed", "cancel", "X paid, cancel"])
def test_nothing_is_refundable_of_what_is_not_paid_or_is_cancelled(steps: str) -> None:
    assert refundable(live(steps).order) == NotRefundable()


@pytest.mark.parametrize("amount", [0, -1, 11])
def test_c18_neither_nothing_nor_more_than_is_left_can_be_refunded(amount: int) -> None:
    assert refundable(live("X paid").order, amount) == ExceedsPaid(10, "USD", 2)


# A provider as it might behave, to which things happen in any order. What it tells comes in any order too.

Told: TypeAlias = Charge | Refund | Dispute
EXCUSES = {"dispute", "refunded-and-disputed", "given-back-twice", "second-charge"}


class Provider:
    """Keeps the true state, tells it in events that may be held back, and makes no refund that a charge has no room for."""

    def __init__(self, amount: int) -> None:
        self.amount = amount
        self.order = msgspec.structs.replace(an_order(), amount_minor=amount)
        self.now = NOW
        self.charges: dict[str, Charge] = {}
        self.refunds: dict[str, Refund] = {}
        self.disputes: dict[str, Dispute] = {}
        self.untold: list[Told] = []

    def learn(self, *facts: Fact) -> None:
        self.now += timedelta(seconds=1)
        self.order = merge(self.order, *facts, now=self.now, cause="test")

    def tell(self, place: int) -> None:
        self.learn(self.untold.pop(place))

    def left_of(self, charge_id: str) -> int:
        gone = [
            one.amount_minor for one in self.refunds.values() if one.charge_id == charge_id and one.state != "failed"
        ]
        gone += [
            one.amount_minor for one in self.disputes.values() if one.charge_id == charge_id and one.state != "won"
        ]
        return self.charges[charge_id].amount_minor - sum(gone)

    def succeed(self, charge_id: str) -> None:
        if charge_id not in self.charges:
            self.now += timedelta(seconds=1)
            charge = Charge(id=charge_id, reference=ORDER_ID, state="succeeded", amount_minor=self.amount, at=self.now)
            self.charges[charge_id] = charge
            self.untold.append(charge)

    def refund_by_hand(self, charge_id: str, amount: int) -> None:
        if charge_id in self.charges and self.left_of(charge_id) >= amount:
            self.make(f"hand{len(self.refunds)}", charge_id, amount, "provider")

    def make(self, refund_id: str, charge_id: str, amount: int, cause: Any) -> None:
        self.now += timedelta(seconds=1)
        made = Refund(
            id=refund_id,
            provider_id=f"re_{refund_id}",
            charge_id=charge_id,
            amount_minor=amount,
            state="succeeded",
            cause=cause,
            made_at=self.now,
            at=self.now,
        )
        self.refunds[refund_id] = made
        self.untold.append(made)

    def fail_the_last(self) -> None:
        """A refund that had succeeded comes back from the bank."""
        if self.refunds:
            refund_id, last = list(self.refunds.items())[-1]
            if last.state == "succeeded":
                self.refunds[refund_id] = msgspec.structs.replace(last, state="failed")
                self.untold.append(self.refunds[refund_id])

    def dispute(self, charge_id: str, amount: int) -> None:
        if charge_id in self.charges and charge_id not in self.disputes:
            self.disputes[charge_id] = Dispute(
                id=f"dp_{charge_id}", charge_id=charge_id, amount_minor=amount, state="open", reason="?", at=self.now
            )
            self.untold.append(self.disputes[charge_id])

    def close_disputes(self, state: Any) -> None:
        for charge_id, dispute in self.disputes.items():
            if dispute.state == "open":
                self.disputes[charge_id] = msgspec.structs.replace(dispute, state=state)
                self.untold.append(self.disputes[charge_id])

    def ask(self, amount: int | None) -> None:
        """The merchant asks us for a refund."""
        part = refundable(self.order, amount)
        if isinstance(part, Part):
            refund = Refund(
                id=f"rf_{len(self.order.refunds)}",
                charge_id=part.charge.id,
                amount_minor=part.amount_minor,
                cause="merchant",
                at=self.now,
            )
            self.order = with_refund_asked(self.order, refund, now=self.now)
            self.learn()

    def cancel(self) -> None:
        if not succeeded(self.order):
            self.learn(CANCELLED)

    def post(self, place: int) -> None:
        """An open call for a refund is posted, and made or refused for good. Before such a refusal is settled, what the
        provider has to say is heard. C2
        """
        calls = [call for call in self.order.calls if call.kind == "refund" and call.state == "open"]
        if not calls:
            return
        call = calls[place % len(calls)]
        refund = next(one for one in self.order.refunds if one.id == call.refund_id)
        refused = None
        if self.left_of(refund.charge_id) >= refund.amount_minor:
            self.make(refund.id, refund.charge_id, refund.amount_minor, refund.cause)
        else:
            while self.untold:
                self.tell(0)
            refused = "exceeds-paid"
        self.order = with_call(
            self.order, msgspec.structs.replace(call, state="done", attempts=1, due_at=None, refused_code=refused)
        )
        if refused:
            self.learn(msgspec.structs.replace(refund, state="refused", failure_code=refused, at=self.now))

    def settle(self) -> None:
        """Everything is delivered, and whatever is asked for is posted until nothing is left."""
        for _ in range(100):
            while self.untold:
                self.tell(0)
            if not any(call.kind == "refund" and call.state == "open" for call in self.order.calls):
                return
            self.now += timedelta(days=1)
            self.post(0)
        raise AssertionError("it does not come to rest")


def judge_at_rest(provider: Provider) -> None:
    """C1: nothing is owed, the order has the provider's figures, and what is kept may be kept or a review says why."""
    order, of_order = provider.order, sums(provider.order)
    assert of_order.owed == 0
    gone = sum(one.amount_minor for one in provider.refunds.values() if one.state == "succeeded")
    gone += sum(one.amount_minor for one in provider.disputes.values() if one.state != "won")
    assert of_order.left == of_order.captured - gone == sum(provider.left_of(one) for one in provider.charges)
    may_keep = of_order.keep if of_order.captured else 0
    raised = {review.code for review in order.reviews if review.resolved_at is None}
    assert of_order.left == may_keep or raised & EXCUSES, (of_order, raised)
    assert not any(one.state == "requested" for one in order.refunds)
    assert has_open_question(order) == (not order.charges or any(one.state == "open" for one in order.disputes))


Step: TypeAlias = Callable[[Provider], None]
SMALL_STEPS: dict[str, Step] = {
    "X": lambda one: one.succeed("X"),
    "Y": lambda one: one.succeed("Y"),
    "tell first": lambda one: one.tell(0) if one.untold else None,
    "tell last": lambda one: one.tell(-1) if one.untold else None,
    "ask 1": lambda one: one.ask(1),
    "ask all": lambda one: one.ask(None),
    "hand X": lambda one: one.refund_by_hand("X", 2),
    "hand Y": lambda one: one.refund_by_hand("Y", 1),
    "post": lambda one: one.post(0),
}


def test_c1_every_short_life_ends_with_nothing_owed_and_what_is_kept_explained() -> None:
    """All lives of six steps, over an order of two, with the two charges at the start in either order."""
    for first in (["X", "Y"], ["Y", "X"], ["X"]):
        for steps in product(SMALL_STEPS, repeat=4):
            provider = Provider(2)
            for step in (*first, *steps):
                SMALL_STEPS[step](provider)
            provider.settle()
            judge_at_rest(provider)


STEPS: list[Step] = [
    *SMALL_STEPS.values(),
    lambda one: one.succeed("Z"),
    lambda one: one.refund_by_hand("X", 1),
    lambda one: one.refund_by_hand("Y", 2),
    lambda one: one.fail_the_last(),
    lambda one: one.dispute("X", 1),
    lambda one: one.dispute("Y", 2),
    lambda one: one.close_disputes("won"),
    lambda one: one.close_disputes("lost"),
    lambda one: one.post(1),
    lambda one: one.cancel(),
]


@given(st.lists(st.sampled_from(STEPS), max_size=25))
@settings(max_examples=400)
def test_c1_a_long_life_ends_with_nothing_owed_and_what_is_kept_explained(steps: list[Step]) -> None:
    provider = Provider(2)
    for step in steps:
        step(provider)
    provider.settle()
    judge_at_rest(provider)
