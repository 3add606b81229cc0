from contextlib import suppress

import pytest

from order_api.breaker import COOL_DOWN_CAP_SECONDS, FAILURES_TO_OPEN, Breaker, BreakerOpenError


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(clock)


def call(breaker: Breaker, healthy: bool | None) -> None:
    with breaker.call() as one:
        one.healthy = healthy


def fail(breaker: Breaker, times: int = FAILURES_TO_OPEN) -> None:
    for _ in range(times):
        call(breaker, healthy=False)


def cool_down(clock: Clock) -> None:
    clock.seconds += COOL_DOWN_CAP_SECONDS


def test_a_new_breaker_permits_everything(breaker: Breaker) -> None:
    assert not breaker.is_open
    assert breaker.permits(64) == 64


def test_fewer_than_five_failures_in_a_row_leave_it_closed(breaker: Breaker) -> None:
    fail(breaker, 4)
    assert breaker.permits(64) == 64


def test_five_failures_in_a_row_open_it_and_nothing_is_called(breaker: Breaker) -> None:
    fail(breaker, 5)
    assert breaker.is_open
    assert breaker.permits(64) == 0
    with pytest.raises(BreakerOpenError), breaker.call():
        pytest.fail("called")


def test_a_success_in_between_starts_the_count_again(breaker: Breaker) -> None:
    fail(breaker, 4)
    call(breaker, healthy=True)
    fail(breaker, 4)
    assert not breaker.is_open


def test_a_call_that_says_nothing_proves_nothing(breaker: Breaker) -> None:
    fail(breaker, 4)
    call(breaker, healthy=None)
    fail(breaker, 1)
    assert breaker.is_open


def test_it_stays_open_until_the_cool_down_is_over(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)
    clock.seconds += 0.2
    assert breaker.permits(1) == 0
    cool_down(clock)
    assert breaker.permits(64) == 1


def test_after_the_cool_down_there_is_one_probe_at_a_time(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)
    cool_down(clock)
    with breaker.call():
        assert breaker.permits(1) == 0
        with pytest.raises(BreakerOpenError), breaker.call():
            pytest.fail("a second probe")


def test_a_probe_that_succeeds_closes_it(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)
    cool_down(clock)
    call(breaker, healthy=True)
    assert not breaker.is_open
    assert breaker.permits(64) == 64


def test_a_probe_that_fails_opens_it_again_at_once(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)
    cool_down(clock)
    call(breaker, healthy=False)
    assert breaker.permits(1) == 0
    cool_down(clock)
    assert breaker.permits(1) == 1


@pytest.mark.parametrize("ending", [KeyboardInterrupt, GeneratorExit, RuntimeError, TimeoutError])
def test_a_probe_that_is_cancelled_or_raises_is_free_again(
    ending: type[BaseException], breaker: Breaker, clock: Clock
) -> None:
    """C16"""
    fail(breaker)
    cool_down(clock)
    with suppress(ending), breaker.call():
        raise ending
    assert breaker.permits(1) == 1
    call(breaker, healthy=True)
    assert not breaker.is_open


def test_a_failure_that_is_noted_before_the_call_raises_counts(breaker: Breaker) -> None:
    for _ in range(FAILURES_TO_OPEN):
        with suppress(TimeoutError), breaker.call() as one:
            one.healthy = False
            raise TimeoutError
    assert breaker.is_open


def test_calls_that_were_under_way_when_it_opened_do_not_lengthen_the_cool_down(breaker: Breaker, clock: Clock) -> None:
    under_way = [breaker.call() for _ in range(FAILURES_TO_OPEN * 2)]
    for one in [manager.__enter__() for manager in under_way]:
        one.healthy = False
    for manager in under_way:
        manager.__exit__(None, None, None)
    clock.seconds += 0.5  # the base: longer than any first cool-down
    assert breaker.permits(1) == 1


def test_however_often_it_opens_it_probes_again_within_the_cap(breaker: Breaker, clock: Clock) -> None:
    """C16"""
    fail(breaker)
    for _ in range(100):
        cool_down(clock)
        call(breaker, healthy=False)
    cool_down(clock)
    assert breaker.permits(1) == 1


def test_it_tells_its_state_and_each_opening(clock: Clock) -> None:
    openings: list[float] = []
    breaker = Breaker(clock, on_opening=lambda: openings.append(clock()))
    states = [breaker.state]
    fail(breaker)
    states.append(breaker.state)
    for healthy in (False, True):
        cool_down(clock)
        states.append(breaker.state)
        call(breaker, healthy=healthy)
        states.append(breaker.state)
    assert states == ["closed", "open", "half-open", "open", "half-open", "closed"]
    assert len(openings) == 2
