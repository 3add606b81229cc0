"""The judge acquits a run in which all is well, and convicts each that is not, of what it has done."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.tools.chaos.corruptions import CORRUPTIONS
from tests.unit.tools.chaos.examples import a_run
from tools.chaos.checker import INVARIANTS, check
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
