"""The test clock's arithmetic."""

from datetime import UTC, datetime, timedelta

import pytest

from payment_gateway.clock.clock import Clock, ClockError, advancing, arrived, frozen, resumed

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_a_clock_that_nobody_has_set_shows_real_time() -> None:
    assert Clock().now(NOON) == NOON


def test_a_frozen_clock_stands_still_and_runs_on_from_there() -> None:
    stopped = frozen(Clock(), real=NOON)
    assert stopped.now(NOON + HOUR) == NOON
    running = resumed(stopped, real=NOON + HOUR)
    assert running.now(NOON + HOUR) == NOON
    assert running.now(NOON + 2 * HOUR) == NOON + HOUR


def test_a_running_clock_arrives_where_it_was_sent_and_runs_on() -> None:
    clock = advancing(Clock(), 72 * HOUR, real=NOON)
    assert (clock.state, clock.now(NOON + HOUR), clock.until) == ("advancing", NOON, NOON + 72 * HOUR)
    there = arrived(clock, real=NOON + HOUR)
    assert there.state == "running"
    assert there.now(NOON + HOUR) == NOON + 72 * HOUR
    assert there.now(NOON + 2 * HOUR) == NOON + 73 * HOUR


def test_a_frozen_clock_is_frozen_again_after_it_was_advanced() -> None:
    clock = arrived(advancing(frozen(Clock(), real=NOON), HOUR, real=NOON + 5 * HOUR), real=NOON + 6 * HOUR)
    assert (clock.state, clock.now(NOON + 9 * HOUR), clock.until) == ("frozen", NOON + HOUR, None)


def test_freezing_twice_changes_nothing_and_neither_does_resuming_twice() -> None:
    assert frozen(frozen(Clock(), real=NOON), real=NOON + HOUR).now(NOON + 2 * HOUR) == NOON
    assert resumed(resumed(Clock(), real=NOON), real=NOON + HOUR).now(NOON + HOUR) == NOON + HOUR


@pytest.mark.parametrize("change", [frozen, resumed])
def test_a_clock_that_advances_takes_no_other_order(change: object) -> None:
    on_its_way = advancing(Clock(), HOUR, real=NOON)
    with pytest.raises(ClockError, match="advancing"):
        change(on_its_way, real=NOON)  # type: ignore[operator]
    with pytest.raises(ClockError, match="advancing"):
        advancing(on_its_way, HOUR, real=NOON)


def test_a_clock_does_not_leave_the_times_that_can_be_stored() -> None:
    far = Clock()
    while far.now(NOON).year < 2189:
        far = arrived(advancing(far, timedelta(days=3650), real=NOON), real=NOON)
    with pytest.raises(ClockError, match="beyond the year"):
        advancing(far, timedelta(days=3650 * 2), real=NOON)
