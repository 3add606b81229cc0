"""What is planned happens, and what could not be done is not counted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random

import pytest

from tools.chaos.cluster import Cluster
from tools.chaos.faults import KINDS, Fault
from tools.chaos.faults.processes import skew_clock
from tools.chaos.nemesis import Nemesis, Planned

ANYWHERE = frozenset({"anywhere"})


@asynccontextmanager
async def nothing_happens(_cluster: Cluster, *, takes_seconds: float = 0.0) -> AsyncIterator[None]:
    yield
    await asyncio.sleep(takes_seconds)


@asynccontextmanager
async def it_cannot_be(_cluster: Cluster) -> AsyncIterator[None]:
    raise OSError("there is none")
    yield


@pytest.fixture
def nemesis(tmp_path: Path) -> Nemesis:
    """Of a cluster that was never started."""
    return Nemesis(Cluster(tmp_path, seed=1), seed=1, seconds=0)


async def test_a_fault_without_length_is_injected(nemesis: Nemesis) -> None:
    nemesis.plan = [Planned(0.05, Fault("moment", "", 0, ANYWHERE, nothing_happens))]
    await nemesis.run()
    assert nemesis.injected == {"moment": 1}


async def test_a_fault_that_cannot_be_is_not_counted(nemesis: Nemesis) -> None:
    nemesis.plan = [Planned(0, Fault("impossible", "", 0, ANYWHERE, it_cannot_be))]
    await nemesis.run()
    assert nemesis.injected == {}


async def test_a_fault_waits_for_the_one_before_it(nemesis: Nemesis) -> None:
    slow = Fault("slow", "", 0, ANYWHERE, partial(nothing_happens, takes_seconds=0.1))
    nemesis.plan = [Planned(0, slow), Planned(0.05, Fault("moment", "", 0, ANYWHERE, nothing_happens))]
    await nemesis.run()
    assert nemesis.injected == {"slow": 1, "moment": 1}


async def test_a_fault_that_is_much_too_late_is_left_out(nemesis: Nemesis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.chaos.nemesis.LATE_SECONDS", 0.4)
    slow = Fault("slow", "", 0, ANYWHERE, partial(nothing_happens, takes_seconds=1.0))
    nemesis.plan = [Planned(0, slow), Planned(0.1, Fault("moment", "", 0, ANYWHERE, nothing_happens))]
    await nemesis.run()
    assert nemesis.injected == {"slow": 1}


async def test_without_libfaketime_a_clock_is_planned_to_be_off_and_is_not(
    nemesis: Nemesis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.chaos.faults.processes.libfaketime", lambda: None)
    assert skew_clock in KINDS
    nemesis.plan = [Planned(0, skew_clock(Random(1)))]
    await nemesis.run()
    assert nemesis.injected == {}
