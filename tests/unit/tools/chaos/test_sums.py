"""The judge's own arithmetic, by the worked examples of docs/money.md: it must come to what the page says."""

from datetime import datetime, timedelta

import pytest

from tests.unit.tools.chaos.run_by_hand import START
from tools.chaos.invariants.rules import Attempt, Charge, Dispute, Facts, Refund
from tools.chaos.invariants.sums import causes, status, sums

X, Y = "ch_x", "ch_y"
SOON, LATER = START + timedelta(seconds=1), START + timedelta(seconds=2)


def facts(*, cancelled: bool = False, **known: Charge | Refund | Dispute) -> Facts:
    """Of an order for 10; `x` and `y` are the charges X and Y."""
    named = {{"x": X, "y": Y}.get(name, name): fact for name, fact in known.items()}
    return Facts(
        10,
        cancelled,
        [Attempt("ord_1", in_vain=False, over=True)],
        {name: fact for name, fact in named.items() if isinstance(fact, Charge)},
        {name: fact for name, fact in named.items() if isinstance(fact, Refund)},
        {name: fact for name, fact in named.items() if isinstance(fact, Dispute)},
    )


def paid(at: datetime = START) -> Charge:
    return Charge("succeeded", 10, None, "ord_1", at)


def back(amount: int, of: str, cause: str, state: str = "succeeded", at: datetime = LATER) -> Refund:
    return Refund(state, amount, None, of, cause, at)


@pytest.mark.parametrize(
    ("known", "given_back", "owed", "kept", "reviews"),
    [
        (facts(x=paid()), 0, 0, 10, set()),
        (facts(x=paid(), r=back(4, X, "merchant")), 4, 0, 6, set()),
        (facts(x=paid(), y=paid(SOON)), 0, 10, 20, set()),
        (facts(x=paid(), y=paid(SOON), r=back(10, Y, "duplicateCharge")), 0, 0, 10, set()),
        (facts(x=paid(), y=paid(SOON), r=back(10, Y, "merchant")), 10, 10, 10, set()),
        (facts(x=paid(), r=back(4, X, "provider")), 4, 0, 6, set()),
        (facts(x=paid(), y=paid(LATER), r=back(10, X, "provider", at=SOON)), 10, 10, 10, set()),
        (facts(x=paid(), y=paid(SOON), r=back(10, Y, "provider")), 0, 0, 10, {"second-charge"}),
        (
            facts(x=paid(), y=paid(SOON), r=back(10, X, "provider"), s=back(10, Y, "duplicateCharge")),
            *(10, 0, 0, {"second-charge", "given-back-twice"}),
        ),
        (facts(x=paid(), d=Dispute("open", 4, X)), 0, 0, 6, {"dispute"}),
        (facts(x=paid(), d=Dispute("won", 4, X)), 0, 0, 10, set()),
        (
            facts(x=paid(), r=back(10, X, "merchant"), d=Dispute("lost", 10, X)),
            *(10, 0, -10, {"dispute", "refunded-and-disputed"}),
        ),
        (facts(cancelled=True, x=paid()), 0, 10, 10, set()),
        (facts(cancelled=True, x=paid(), r=back(10, X, "cancelled")), 10, 0, 0, set()),
        (facts(x=paid(), r=back(4, X, "merchant", "refused")), 0, 0, 10, {"refund-failed"}),
        (
            facts(
                cancelled=True, x=paid(), **{f"r{number}": back(10, X, "cancelled", "failed") for number in range(3)}
            ),
            *(0, 10, 10, {"not-given-back"}),
        ),
    ],
)
def test_the_sums_are_those_of_the_worked_examples(
    known: Facts, given_back: int, owed: int, kept: int, reviews: set[str]
) -> None:
    of_order = sums(known)
    assert (of_order.given_back, of_order.owed, of_order.kept) == (given_back, owed, kept)
    assert {code for code, _ in causes("ord_1", known)} == reviews


def test_an_order_has_failed_when_every_attempt_has_ended_and_no_charge_is_under_way() -> None:
    failed, pending = (Charge(state, 10, None, "ord_1") for state in ("failed", "pending"))
    second = Attempt("ord_1.2", in_vain=False, over=False)
    assert status(facts(x=failed)) == "Failed"
    assert status(facts(x=failed, y=pending)) == "Pending"
    assert status(facts(x=failed)._replace(attempts=[*facts().attempts, second])) == "Pending"
    assert status(facts(x=failed)._replace(attempts=[*facts().attempts, second._replace(in_vain=True)])) == "Failed"
    assert status(facts(x=failed, y=paid())) == "Paid"
