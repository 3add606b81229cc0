"""The judge acquits a run in which all is well, and convicts each that is not, of what it has done."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.tools.chaos.corruptions import CORRUPTIONS
from tests.unit.tools.chaos.examples import a_run
from tools.chaos.afterwards import AFTERWARDS
from tools.chaos.checker import INVARIANTS, check, too_little
from tools.chaos.evidence import Evidence


@pytest.fixture
def run(tmp_path: Path) -> Evidence:
    return a_run(tmp_path / "order_api_1.log")


def test_a_run_in_which_all_is_well_violates_nothing(run: Evidence) -> None:
    assert check(run) == []


@pytest.mark.parametrize(
    ("numbers", "corrupt"),
    [(numbers, corrupt) for numbers, corrupt in CORRUPTIONS],
    ids=[corrupt.__name__ for _, corrupt in CORRUPTIONS],
)
def test_what_is_wrong_is_found_and_nothing_else(
    run: Evidence, numbers: set[int], corrupt: Callable[[Evidence], None]
) -> None:
    corrupt(run)
    assert {violation.invariant for violation in check(run)} == numbers


def test_every_invariant_can_fail_alone() -> None:
    alone = {number for numbers, _ in CORRUPTIONS if len(numbers) == 1 for number in numbers}
    assert alone == set(INVARIANTS)


def test_a_run_that_was_used_and_broken_proves_something(run: Evidence) -> None:
    assert list(too_little(run, injected=10, planned=20)) == []


def test_a_run_in_which_nothing_happened_proves_nothing() -> None:
    nothing = Evidence(merchants=[], operations=[])
    assert len(list(too_little(nothing, injected=0, planned=0))) == 3


def test_a_run_in_which_orders_were_placed_only_when_all_was_over_proves_nothing(run: Evidence) -> None:
    for operation in run.operations:
        operation.client = AFTERWARDS
    assert len(list(too_little(run, injected=10, planned=20))) == 2


def test_a_run_in_which_few_of_the_faults_came_proves_nothing(run: Evidence) -> None:
    assert list(too_little(run, injected=9, planned=20)) == ["9 of 20 faults were injected, less than 50%"]


def test_databases_that_cannot_be_read_are_stuck_and_not_empty(run: Evidence) -> None:
    stuck = ["the databases cannot be read: no primary"]
    unread = Evidence(merchants=run.merchants, operations=run.operations, databases_read=False, still_open=stuck)
    assert {violation.invariant for violation in check(unread)} == {12}
