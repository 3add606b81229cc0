"""One question for many callers, and what becomes of them when it fails."""

import asyncio

import pytest

from shared.kept import Kept


class Oracle:
    """Answers each question with its number as soon as it may, and fails up to the number `fail_up_to`."""

    def __init__(self, *, fail_up_to: int = 0) -> None:
        self._fail_up_to = fail_up_to
        self.asked = self.open = 0
        self.was_asked, self.may_answer = asyncio.Event(), asyncio.Event()

    async def __call__(self) -> int:
        assert self.open == 0, "one question at a time"
        self.asked += 1
        self.open += 1
        number = self.asked
        self.was_asked.set()
        try:
            await self.may_answer.wait()
        finally:
            self.open -= 1
        if number <= self._fail_up_to:
            raise ConnectionError
        return number


async def asking(kept: Kept[int], oracle: Oracle, callers: int = 10) -> list["asyncio.Task[int]"]:
    """The callers, the first of whom has asked while the others wait."""
    tasks = [asyncio.create_task(kept()) for _ in range(callers)]
    await oracle.was_asked.wait()
    return tasks


async def test_many_callers_at_once_share_one_question() -> None:
    kept = Kept(oracle := Oracle(), seconds=60)
    tasks = await asking(kept, oracle)
    oracle.may_answer.set()
    assert await asyncio.gather(*tasks) == [1] * 10


@pytest.mark.parametrize(("seconds", "answers"), [(60, [1, 1, 1]), (0, [1, 2, 3])])
async def test_an_answer_is_given_until_its_time_is_over(seconds: float, answers: list[int]) -> None:
    kept = Kept(oracle := Oracle(), seconds=seconds)
    oracle.may_answer.set()
    assert [await kept() for _ in range(3)] == answers


async def test_callers_for_whom_an_open_question_was_asked_too_early_share_the_next_one() -> None:
    kept = Kept(oracle := Oracle(), seconds=0)
    first = await asking(kept, oracle, callers=1)
    later = await asking(kept, oracle)
    await asyncio.sleep(0)  # each has come and waits
    oracle.may_answer.set()
    assert await asyncio.gather(*first, *later) == [1] + [2] * 10


async def test_all_who_wait_while_two_questions_fail_have_failed_with_them() -> None:
    """Each question that fails may take seconds: the last of many callers must not wait for one each."""
    kept = Kept(oracle := Oracle(fail_up_to=2), seconds=60)
    tasks = await asking(kept, oracle)
    await asyncio.sleep(0)  # each has come and waits
    oracle.may_answer.set()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in ended] == [ConnectionError] * 10
    assert oracle.asked == 2


async def test_a_failure_is_not_kept_and_goes_to_no_caller_that_came_after_the_question() -> None:
    kept = Kept(oracle := Oracle(fail_up_to=1), seconds=60)
    [first, *others] = await asking(kept, oracle)
    oracle.may_answer.set()
    with pytest.raises(ConnectionError):
        await first
    assert await asyncio.gather(*others, kept()) == [2] * 10


async def test_when_the_caller_that_asked_is_cancelled_the_others_still_get_an_answer() -> None:
    kept = Kept(oracle := Oracle(), seconds=60)
    [first, *others] = await asking(kept, oracle)
    oracle.was_asked.clear()
    first.cancel()
    await oracle.was_asked.wait()  # the next one has asked
    oracle.may_answer.set()
    assert await asyncio.gather(*others) == [2] * 9
    assert first.cancelled()


async def test_a_caller_that_is_cancelled_while_it_waits_disturbs_nobody() -> None:
    kept = Kept(oracle := Oracle(), seconds=60)
    [first, second, *others] = await asking(kept, oracle)
    second.cancel()
    oracle.may_answer.set()
    assert await asyncio.gather(first, *others) == [1] * 9


async def test_what_was_forgotten_is_asked_for_anew() -> None:
    kept = Kept(oracle := Oracle(), seconds=60)
    oracle.may_answer.set()
    assert await kept() == 1
    kept.forget()
    assert [await kept(), await kept()] == [2, 2]


async def test_a_question_that_was_open_when_the_answer_was_forgotten_answers_no_later_caller() -> None:
    kept = Kept(oracle := Oracle(), seconds=60)
    before = await asking(kept, oracle)
    kept.forget()
    after = asyncio.create_task(kept())
    oracle.may_answer.set()
    assert await asyncio.gather(*before, after) == [1] * 10 + [2]
