"""What is broken when follows from the seed alone, and leaves the world room to live."""

import re
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from tools.chaos.faults import KINDS, ONCE_A_RUN
from tools.chaos.nemesis import LONG_SECONDS, Planned, schedule

FIVE_MINUTES = 300.0
SEEDS = range(20)

CI = Path(__file__).parents[4] / ".ci" / "run"
# What the minute of each CI run must have, whatever else: one of each line.
MUST_HAVE = (
    {"kill -9 of a service"},
    {"MongoDB: kill -9 of the primary", "MongoDB: SIGSTOP of the primary", "MongoDB: primary cut off from members"},
    {"MongoDB: primary steps down"},
    {"MongoDB: writes done and not confirmed"},
    {"MongoDB: connection closed on a write"},
    {"provider errs in every way"},
    {"webhook secret rotated"},
)


def told(plan: list[Planned]) -> list[tuple[float, float, str, str]]:
    return [(planned.at, planned.ends_at, planned.fault.name, planned.fault.detail) for planned in plan]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_gives_the_same_schedule_again(seed: int) -> None:
    assert told(schedule(seed, FIVE_MINUTES)) == told(schedule(seed, FIVE_MINUTES))


def test_another_seed_gives_another_schedule() -> None:
    assert len({str(told(schedule(seed, FIVE_MINUTES))) for seed in SEEDS}) == len(SEEDS)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_fault_is_over_when_the_run_is(seed: int) -> None:
    assert all(planned.ends_at <= FIVE_MINUTES for planned in schedule(seed, FIVE_MINUTES))


@pytest.mark.parametrize("seed", SEEDS)
def test_no_two_faults_hold_the_same_part_of_the_world_at_once(seed: int) -> None:
    plan = schedule(seed, FIVE_MINUTES)
    for part in frozenset[str]().union(*(planned.fault.holds for planned in plan)):
        holders = [planned for planned in plan if part in planned.fault.holds]
        assert all(first.ends_at < second.at for first, second in pairwise(holders)), part


@pytest.mark.parametrize("seed", SEEDS)
def test_five_minutes_have_nearly_every_kind_and_faults_that_overlap(seed: int) -> None:
    plan = schedule(seed, FIVE_MINUTES)
    names = {kind(Random(0)).name for kind in KINDS}
    assert len(names) == len(KINDS), "two kinds are counted under one name"
    assert len({planned.fault.name for planned in plan}) >= len(names) - 3
    assert any(first.ends_at > second.at for first, second in pairwise(plan))


@pytest.mark.parametrize("seed", SEEDS)
def test_there_are_quiet_moments_throughout(seed: int) -> None:
    short = [planned for planned in schedule(seed, FIVE_MINUTES) if planned.fault.seconds < LONG_SECONDS]
    quiet = [
        second.at
        for number, second in enumerate(short)
        if number and max(planned.ends_at for planned in short[:number]) + 1 < second.at
    ]
    assert len(quiet) >= 5
    assert all(later - earlier < 60 for earlier, later in pairwise(quiet))


def test_the_minute_of_a_ci_run_breaks_what_matters() -> None:
    """A kind more or less gives each seed another schedule: then choose another seed for .ci/run."""
    seed, minutes = re.findall(r"make chaos SEED=(\d+) MINUTES=(\d+)", CI.read_text())[0]
    begins = {planned.fault.name: planned.at for planned in schedule(int(seed), 60.0 * int(minutes))}
    assert [must for must in MUST_HAVE if not must & begins.keys()] == []
    assert begins["webhook secret rotated"] < 10, "the old secret is refused while there are orders"


@pytest.mark.parametrize("seed", SEEDS)
def test_what_comes_once_a_run_comes_in_every_minute(seed: int) -> None:
    names = [planned.fault.name for planned in schedule(seed, 60.0)]
    assert all(names.count(kind(Random(0)).name) == 1 for kind in ONCE_A_RUN)
