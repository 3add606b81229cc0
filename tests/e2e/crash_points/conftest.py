"""A world for all tests of a file, whose `VICTIM` dies in it, in each of its `FLOWS`, by the life that goes through them."""

from collections.abc import AsyncIterator, Mapping, Sequence

import aiohttp
import pytest

from shared.mongo import Client
from tests.e2e.crash_points.invariants import Life
from tests.e2e.crash_points.life import Lives, points_of
from tests.e2e.crash_points.proxy import Point
from tests.e2e.crash_points.world import world_of


@pytest.fixture(scope="module")
async def lives(
    request: pytest.FixtureRequest, mongo: Client, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Lives]:
    async with (
        world_of(request.module.VICTIM, mongo, tmp_path_factory.mktemp("logs")) as world,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as http,
    ):
        yield Lives(world, http)


@pytest.fixture(scope="module")
async def points(request: pytest.FixtureRequest, lives: Lives) -> Mapping[tuple[Life, str], Sequence[Point]]:
    """By life and flow: found out while nobody dies, so that a step which is added to a flow has its points."""
    found: dict[tuple[Life, str], Sequence[Point]] = {}
    for life, flows in request.module.FLOWS.items():
        recorded = points_of(await lives.record(life), getattr(request.module, "LAST", {}).get(life, ()))
        assert len(recorded) == len(flows), recorded
        found |= {(life, flow): one for flow, one in zip(flows, recorded, strict=True)}
    return found
