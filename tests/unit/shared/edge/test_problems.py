"""A refusal of a flow ends in a problem document. An outcome that nobody has thought of is a defect, and is seen."""

from typing import Any

import httpx
import pytest
from litestar import Litestar, get

from shared.edge.problems import COMMON, RefusedError, Table, exception_handlers
from shared.not_found import NotFound


async def answer(outcome: object, table: Table = COMMON) -> tuple[int, str, str]:
    """Status, type and detail of what a handler is answered that refuses with this outcome."""

    @get("/")
    async def refuse() -> None:
        raise RefusedError(outcome)

    app: Any = Litestar(
        [refuse], exception_handlers=exception_handlers(table), openapi_config=None, logging_config=None
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
        problem = (await client.get("/")).json()
    return problem["status"], problem["type"], problem["detail"]


async def test_what_is_not_there_is_answered_404_and_named() -> None:
    assert await answer(NotFound("refund")) == (404, "/problems/not-found", "no such refund")


async def test_an_outcome_without_a_problem_is_a_defect_that_the_log_names(capsys: pytest.CaptureFixture[str]) -> None:
    status, problem, _ = await answer(Exception("a success"))
    assert (status, problem) == (500, "/problems/internal")
    assert "AssertionError: the table has no problem for Exception('a success')" in "".join(capsys.readouterr())
