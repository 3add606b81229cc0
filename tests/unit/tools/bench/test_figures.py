"""What `make bench` makes of what it has measured."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.bench.figures import at_least, at_most, by_process, figure, percentile, ratio, shown


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 100))
def test_a_percentile_is_one_of_the_values_and_so_many_do_not_exceed_it(values: list[float], percent: float) -> None:
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) >= len(values) * percent / 100
    assert sum(value < found for value in values) <= len(values) * percent / 100


def test_the_p99_of_a_hundred_values_is_the_second_highest() -> None:
    assert percentile(range(1, 101), 99) == 99
    assert percentile([7.0], 99) == 7.0


def test_there_is_no_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_a_ratio_is_of_what_ran_in_the_same_round() -> None:
    """The machine was twice as fast in the second round, for both."""
    assert ratio("", [10, 20, 30], [20, 40, 40]).values == (0.5, 0.5, 0.75)
    assert ratio("", [10, 20, 30], [20, 40, 40]).median == 0.5


@pytest.mark.parametrize(
    ("goal", "value", "is_good"),
    [
        (at_least(0.9), 0.9, True),
        (at_least(0.9), 0.899, False),
        (at_most(12), 12, True),
        (at_most(12), 12.1, False),
        (None, 1, None),
    ],
)
def test_a_goal_is_judged_by_the_median(goal: object, value: float, is_good: bool | None) -> None:
    assert figure("", "", 0, value, 1e6, goal=goal).is_good is is_good  # type: ignore[arg-type]


def test_what_each_process_spent_is_a_figure_of_its_own() -> None:
    figures = by_process("CPU", "µs", [{"order_api": 1, "mongod": 2}, {"order_api": 3, "mongod": 4}], scale=10)
    assert [(one.name, one.values) for one in figures] == [("CPU, order_api", (10, 30)), ("CPU, mongod", (20, 40))]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.03456, "0.035"), (0.4567, "0.457"), (9.999, "10.00"), (12.34, "12.3"), (1842.4, "1,842")],
)
def test_a_value_is_shown_with_the_digits_that_count(value: float, text: str) -> None:
    assert shown(value) == text
