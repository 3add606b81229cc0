"""Where a message begins and ends, tried on the server's protocol alone."""

import pytest

from tests.hostile.framing import GETS, IN_DOUBT, POSTS, posted, whole
from tests.hostile.requests import Case, name_of, refused
from tests.unit.hostile.in_process import Connection, InProcess


@pytest.mark.parametrize("case", refused(GETS), ids=name_of)
async def test_a_head_has_one_reading(target: InProcess, case: Case) -> None:
    await target.expect(case, whole(target, case.sent))


@pytest.mark.parametrize("case", refused(POSTS), ids=name_of)
async def test_a_body_has_one_end(target: InProcess, case: Case) -> None:
    await target.expect(case, posted(target, case.sent))


@pytest.mark.parametrize("case", IN_DOUBT, ids=name_of)
async def test_nothing_is_read_behind_a_frame_that_is_in_doubt(target: InProcess, case: Case) -> None:
    """Else what follows, which another's proxy took for a body, would be a request of its own."""
    async with Connection(target.connect()) as connection:
        await connection.send(posted(target, case.sent) + target.get(target.collection))
        assert (await connection.answer()).status == 400
        assert await connection.is_closed()
