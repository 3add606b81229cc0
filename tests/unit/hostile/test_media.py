"""What a body may say it is, tried on the application alone."""

import gzip
import zlib

import pytest

from tests.hostile.media import CODINGS, TYPES, UNSUPPORTED
from tests.hostile.requests import Case, name_of, refused
from tests.unit.hostile.in_process import InProcess


@pytest.mark.parametrize("case", refused(TYPES), ids=name_of)
async def test_a_body_is_taken_as_json_in_utf_8_only(target: InProcess, case: Case) -> None:
    await target.expect(case, target.post(headers={"Content-Type": case.sent}))


@pytest.mark.parametrize("case", refused(CODINGS), ids=name_of)
async def test_a_body_is_taken_without_a_coding_only(target: InProcess, case: Case) -> None:
    await target.expect(case, target.post(headers={"Content-Encoding": case.sent}))


@pytest.fixture(scope="module", params=["gzip", "deflate"])
def bomb(request: pytest.FixtureRequest) -> bytes:
    """40 MB of spaces."""
    spaces = b" " * 40_000_000
    return gzip.compress(spaces) if request.param == "gzip" else zlib.compress(spaces)


async def test_nothing_is_decompressed_so_nothing_can_explode(target: InProcess, bomb: bytes) -> None:
    assert len(bomb) < 64 * 1024
    await target.expect(Case("bomb", None, *UNSUPPORTED), target.post(bomb, {"Content-Encoding": [b"gzip"]}))
