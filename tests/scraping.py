"""Reading metrics: those of a service as Prometheus does, and our own process's."""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

import aiohttp
import pytest
from prometheus_client import REGISTRY, Metric

from shared.mongo import Database, Document

Samples = Mapping[str, float]

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is missing (Debian and Ubuntu: in the package prometheus)"
)


async def exposition(http: aiohttp.ClientSession, url: str) -> str:
    async with http.get(f"{url}/metrics") as response:
        assert response.status == 200
        return await response.text()


async def scrape(http: aiohttp.ClientSession, url: str) -> Samples:
    """Every sample, by its name and labels as they are written."""
    lines = (await exposition(http, url)).splitlines()
    samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in samples}


def grown(before: Samples, after: Samples, *names: str) -> Samples:
    """The growth of the metrics whose names begin with one of `names`."""
    growth = {sample: value - before.get(sample, 0.0) for sample, value in after.items() if sample.startswith(names)}
    return {sample: value for sample, value in growth.items() if value}


def value(sample: str, **labels: str) -> float:
    """The value of a metric of this process; 0 if it is not there."""
    return REGISTRY.get_sample_value(sample, labels) or 0.0


def gauges(metrics: Iterable[Metric]) -> Samples:
    """Each sample by its name and the values of its labels."""
    samples = (sample for metric in metrics for sample in metric.samples)
    return {" ".join([sample.name, *sample.labels.values()]): sample.value for sample in samples}


async def stock(counts: Sequence[Callable[[], Awaitable[Sequence[Metric]]]]) -> Samples:
    """All that `counts` find."""
    return gauges([metric for count in counts for metric in await count()])


@asynccontextmanager
async def profiled(database: Database) -> AsyncIterator[list[Document]]:
    """Yields what MongoDB's profiler says about the reads meanwhile. The list is filled at the end."""
    queries: list[Document] = []
    await database["system.profile"].drop()
    await database.command("profile", 2)
    try:
        yield queries
    finally:
        await database.command("profile", 0)
    found = await database["system.profile"].find({"planSummary": {"$exists": True}}).to_list()
    queries += [query for query in found if not query["ns"].endswith("system.profile")]


async def assert_all_through_indexes(database: Database, look: Callable[[], Awaitable[object]]) -> None:
    """IDHACK and EXPRESS are the index of ids; at EOF there is no collection to read."""
    async with profiled(database) as queries:
        await look()
    plans = {query["planSummary"] for query in queries}
    assert plans
    indexes = ("IXSCAN", "COUNT_SCAN", "IDHACK", "EXPRESS", "EOF")
    assert {plan for plan in plans if not plan.startswith(indexes)} == set()
