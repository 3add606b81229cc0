"""What a run of chaos on a mutant says of it."""

from tools.mutants_chaos import verdict

VIOLATED = """
invariants          13 of 15 hold

VIOLATED, 1,204 times: 5. By every write to the outbox: whoever settles holds the fence of that moment
    ord_1                                 obx_1 at 12:00:00.000000: it was settled under the fence 1, and its fence was 2
VIOLATED, 1 times: 12. Done, void, or dead with a review; attempts bounded; nothing left open.
VIOLATED: order_api_1 ended by itself with -6; see order_api_1.log
"""


def test_a_mutant_is_convicted_by_the_invariants_that_it_violates() -> None:
    trial = verdict(1, VIOLATED)
    assert trial.convicted
    assert trial.convicted_by == [
        "invariant 5",
        "invariant 12",
        "order_api_1 ended by itself with -6; see order_api_1.log",
    ]


def test_a_mutant_that_violates_nothing_is_free() -> None:
    assert not verdict(0, "15 of 15 hold").convicted


def test_a_run_that_breaks_down_convicts_nobody() -> None:
    assert not verdict(1, "Traceback (most recent call last):").convicted
    assert not verdict(2, "the run could not be made: no mongod").convicted
