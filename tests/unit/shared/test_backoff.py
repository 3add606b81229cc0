from random import Random

from hypothesis import given
from hypothesis import strategies as st

from shared.backoff import exponential, scheduled

SECONDS = st.floats(0.001, 100_000)
SEEDS = st.integers()


@given(st.integers(1, 10_000), SECONDS, SECONDS, SEEDS)
def test_a_wait_is_never_longer_than_the_cap_nor_shorter_than_half_its_ceiling(
    attempt: int, base_seconds: float, cap_seconds: float, seed: int
) -> None:
    wait = exponential(attempt, base_seconds=base_seconds, cap_seconds=cap_seconds, random=Random(seed))
    assert min(base_seconds, cap_seconds) / 2 <= wait <= cap_seconds


@given(st.integers(1, 20), SEEDS)
def test_each_failure_doubles_the_wait_until_the_cap(attempt: int, seed: int) -> None:
    one = exponential(attempt, base_seconds=0.5, cap_seconds=1e9, random=Random(seed))
    next_one = exponential(attempt + 1, base_seconds=0.5, cap_seconds=1e9, random=Random(seed))
    assert next_one == 2 * one


def test_callers_that_failed_together_do_not_come_back_together() -> None:
    assert len({exponential(5, base_seconds=1, cap_seconds=60) for _ in range(50)}) > 40


@given(SECONDS, SEEDS)
def test_a_scheduled_wait_is_within_a_tenth_of_what_the_schedule_says(seconds: float, seed: int) -> None:
    assert 0.89999 * seconds <= scheduled(seconds, random=Random(seed)) <= 1.10001 * seconds


def test_a_scheduled_wait_of_nothing_is_nothing() -> None:
    assert scheduled(0) == 0
