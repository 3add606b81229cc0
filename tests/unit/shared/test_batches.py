"""What whoever waits for a batch can rely on."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import pytest

from shared.batches import Batches, Caller, Limits, UnavailableError, answered_within
from tests.virtual_time import run_in_virtual_time

STEP_SECONDS = 0.05


def test_steps_that_are_each_bounded_are_bounded_together() -> None:
    async def never(_callers: object) -> None:
        await asyncio.Event().wait()

    steps = []

    async def walk() -> None:
        batches = Batches[str, None](never, name="never", limits=Limits(deadline_seconds=STEP_SECONDS))
        async with answered_within(STEP_SECONDS * 3):
            while True:
                steps.append("step")
                with suppress(UnavailableError):
                    await batches.submit("step")

    with pytest.raises(UnavailableError):
        run_in_virtual_time(walk())
    assert 1 < len(steps) <= 4


async def test_who_has_waited_long_enough_leaves_its_neighbours_alone() -> None:
    """C8"""
    answered = asyncio.Event()

    async def late(callers: Sequence[Caller[str, str]]) -> None:
        await answered.wait()
        for caller in callers:
            caller.answer(caller.item)

    batches = Batches[str, str](late, name="late", limits=Limits())
    working = asyncio.create_task(batches.run())
    neighbour = asyncio.create_task(batches.submit("neighbour"))
    with pytest.raises(UnavailableError):
        async with answered_within(STEP_SECONDS):
            await batches.submit("mine")
    answered.set()
    assert await neighbour == "neighbour"
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)


async def test_who_is_patient_goes_along_with_whoever_comes_next_and_waits_for_nobody_for_long() -> None:
    sizes: list[int] = []

    async def work(callers: Sequence[Caller[str, str]]) -> None:
        sizes.append(len(callers))
        for caller in callers:
            caller.answer(caller.item)

    batches = Batches[str, str](work, name="patient", limits=Limits())
    working = asyncio.create_task(batches.run())
    patient = [asyncio.create_task(batches.submit(name, patience=0.01)) for name in ("one", "two")]
    await asyncio.sleep(0)
    assert (await batches.submit("three"), [await one for one in patient]) == ("three", ["one", "two"])
    assert await batches.submit("alone", patience=0.01) == "alone"
    assert sizes == [3, 1]
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
