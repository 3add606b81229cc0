"""What a JSON body may be, tried on the application alone: none of these is accepted."""

import time

import pytest

from tests.hostile.bodies import CASES, COSTLY
from tests.hostile.requests import Case, name_of
from tests.unit.hostile.in_process import InProcess


@pytest.mark.parametrize("case", CASES, ids=name_of)
async def test_a_body_is_one_json_value_that_is_wanted(target: InProcess, case: Case) -> None:
    await target.expect(case, target.post(case.sent))


@pytest.mark.parametrize(("body", "unit"), [case[1:] for case in COSTLY], ids=[case[0] for case in COSTLY])
async def test_the_worst_body_costs_about_what_any_body_of_its_size_does(
    target: InProcess, body: bytes, unit: bytes
) -> None:
    """Against time that grows with the square of the size, as turning digits into a number can take."""
    worst = body.replace(b"%s", unit * (65_000 // len(unit)))
    harmless = b'"' + b"x" * 65_000 + b'"'
    assert await _fastest(target, worst) < 20 * await _fastest(target, harmless)


async def _fastest(target: InProcess, body: bytes) -> float:
    """The seconds that the fastest of ten such requests took."""
    taken = []
    for _ in range(10):
        started = time.perf_counter()
        answer = await target.exchange(target.post(body))
        taken.append(time.perf_counter() - started)
        assert answer.status in {400, 422}
    return min(taken)
