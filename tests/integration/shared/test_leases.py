"""Leased work where more than one asks it to work."""

import asyncio
from collections.abc import Sequence

import pytest
from pymongo.errors import PyMongoError

from shared.leases import LeasedWork
from shared.mongo import Client
from tests.integration.conftest import FailCommand


async def test_all_that_a_claim_asks_of_the_database_ends_in_time_together(
    mongo: Client, database_name: str, fail_command: FailCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop waits only a little longer: what a claim takes later would be left to its lease."""
    monkeypatch.setattr("shared.leases.CLAIM_SECONDS", 1.0)
    things = mongo[database_name]["things"]

    async def claim(_limit: int) -> Sequence[int]:
        for _ in range(3):
            await things.find_one()
        return ()

    async def attempt(_piece: int) -> None: ...

    await fail_command("tests", ["find"], times="always", blockConnection=True, blockTimeMS=600)
    with pytest.raises(PyMongoError):
        await LeasedWork[int](claim, attempt, name="asks", slots=1).run_once()


async def test_two_rounds_at_once_do_not_fill_a_slot_twice() -> None:
    at_work, most, left = 0, 0, 8

    async def claim(limit: int) -> Sequence[int]:
        nonlocal left
        await asyncio.sleep(0.01)
        claimed = min(limit, left)
        left -= claimed
        return range(claimed)

    async def attempt(_piece: int) -> None:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await asyncio.sleep(0.05)
        at_work -= 1

    work = LeasedWork[int](claim, attempt, name="rounds", slots=2)
    rounds = await asyncio.gather(*(work.run_once() for _ in range(3)))
    assert (sum(rounds), most) == (2, 2)


async def test_a_worker_wakes_at_the_earliest_time_that_it_was_told_of() -> None:
    claimed = asyncio.Queue[float]()
    loop = asyncio.get_running_loop()

    async def claim(_limit: int) -> Sequence[int]:
        claimed.put_nowait(loop.time())
        return ()

    async def attempt(_piece: int) -> None: ...

    work = LeasedWork[int](claim, attempt, name="wakes", slots=1, poll_seconds=3600)
    running = asyncio.create_task(work.run())
    began = await claimed.get()
    for seconds in (3600, 0.2, 1800):
        work.wake_in(seconds)
    assert await claimed.get() - began >= 0.2
    for first, second in ((3600, -1), (0, 3600)):
        work.wake_in(first)
        work.wake_in(second)
        await claimed.get()
    await work.stop()
    await running


async def test_a_worker_claims_again_at_once_only_when_there_may_be_more() -> None:
    """It would claim in vain after every piece otherwise."""
    claims, left = 0, 5
    done = asyncio.Event()

    async def claim(limit: int) -> Sequence[int]:
        nonlocal claims, left
        claims += 1
        taken = min(limit, left)
        left -= taken
        return range(taken)

    async def attempt(_piece: int) -> None:
        await asyncio.sleep(0.05)
        if not left:
            done.set()

    work = LeasedWork[int](claim, attempt, name="claims", slots=2, poll_seconds=3600)
    work.interval_seconds = 0
    running = asyncio.create_task(work.run())
    await done.wait()
    await asyncio.sleep(0.3)
    assert left == 0
    assert claims <= 6
    await work.stop()
    await running


async def test_a_slot_that_becomes_free_during_a_claim_does_not_hide_that_more_is_left() -> None:
    """It would be left to the next poll otherwise."""
    pieces, claims = ["quick", "slow", "third", "last"], 0
    claims_again, slow_ended, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def claim(limit: int) -> Sequence[str]:
        nonlocal claims
        claims += 1
        taken = [pieces.pop(0) for _ in range(min(limit, len(pieces)))]
        if claims == 2:
            claims_again.set()
            await slow_ended.wait()
            await asyncio.sleep(0)  # its slot is free now
        return taken

    async def attempt(piece: str) -> None:
        if piece == "slow":
            await claims_again.wait()
            slow_ended.set()
        if piece == "last":
            done.set()

    work = LeasedWork[str](claim, attempt, name="freed", slots=2, poll_seconds=3600)
    work.interval_seconds = 0
    running = asyncio.create_task(work.run())
    async with asyncio.timeout(10):
        await done.wait()
    await work.stop()
    await running


async def others_go_on() -> None:
    """Until each waits for something: nothing here waits for longer than a few turns of the loop, or for a clock."""
    for _ in range(50):
        await asyncio.sleep(0)


class Doing:
    """Work of `slots` slots; each piece is done when the test lets it end."""

    def __init__(self, *waiting: str, slots: int = 2, spare: bool = False) -> None:
        self.waiting = [*waiting]
        self.may_end = {name: asyncio.Event() for name in ("old", "older", "new")}
        self.done = list[str]()
        self.looked = asyncio.Event()
        self.work = LeasedWork[str](
            self._claim, self._attempt, name="reserves", slots=slots, poll_seconds=3600, spare=spare
        )
        self.work.interval_seconds = 3600

    async def _claim(self, limit: int) -> Sequence[str]:
        self.looked.set()
        await asyncio.sleep(0)
        return [self.waiting.pop() for _ in range(min(limit, len(self.waiting)))]

    async def _attempt(self, piece: str) -> None:
        await self.may_end[piece].wait()
        self.done.append(piece)


async def test_a_slot_is_reserved_for_new_work_while_one_is_free() -> None:
    doing = Doing("old")
    assert not doing.work.reserve()  # it does not run
    running = asyncio.create_task(doing.work.run())
    await doing.looked.wait()
    assert not doing.work.reserve()  # the claim that is under way may need the slot
    await others_go_on()
    assert doing.work.reserve()
    assert not doing.work.reserve()  # both slots are taken
    doing.work.give_back()
    assert doing.work.reserve()
    doing.work.begin("new")
    for may_end in doing.may_end.values():
        may_end.set()
    running.cancel()
    await doing.work.stop()
    assert sorted(doing.done) == ["new", "old"]
    assert not doing.work.reserve()  # it has stopped


async def test_no_slot_is_reserved_for_new_work_while_older_work_may_wait() -> None:
    doing = Doing("old", "older")
    running = asyncio.create_task(doing.work.run())
    await doing.looked.wait()
    await others_go_on()
    assert doing.work.free == 0
    doing.may_end["old"].set()
    await others_go_on()
    assert (doing.work.free, doing.done) == (1, ["old"])
    assert not doing.work.reserve()
    doing.may_end["older"].set()
    running.cancel()
    await doing.work.stop()


async def test_a_claim_leaves_spare_slots_to_new_work_and_never_gives_one_away_twice() -> None:
    doing = Doing(*19 * ["new"], slots=8, spare=True)
    running = asyncio.create_task(doing.work.run())
    await doing.looked.wait()
    assert [doing.work.reserve() for _ in range(3)] == [True, True, False]
    await others_go_on()
    assert (doing.work.free, len(doing.waiting)) == (0, 13)
    assert not doing.work.reserve()
    for _ in range(2):
        doing.work.begin("new")
    for may_end in doing.may_end.values():
        may_end.set()
    await others_go_on()
    assert (doing.work.free, len(doing.done)) == (8, 8)
    assert not doing.work.reserve()  # the claim took all that it asked for: older work waits
    assert await doing.work.run_once() == 8  # so this one leaves nothing to new work
    running.cancel()
    await doing.work.stop()


async def test_stopping_waits_for_what_has_a_slot_and_is_being_stored() -> None:
    doing = Doing()
    running = asyncio.create_task(doing.work.run())
    await doing.looked.wait()
    await others_go_on()
    assert doing.work.reserve()
    running.cancel()
    stopping = asyncio.create_task(doing.work.stop())
    await others_go_on()
    assert not doing.work.reserve()
    doing.work.begin("new")  # it is stored
    doing.may_end["new"].set()
    await stopping
    assert doing.done == ["new"]
