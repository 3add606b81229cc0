"""`make bench ARGS=console`: measures what watching costs order_api. One browser with the console and four readers of its
stream watch, while orders come in at 100 a second and STORED are there already.

They watch all the time: in one half of each round the process that takes the orders, in the other half another replica, so
that the machine is equally busy. (If nobody watches, an order costs more: a machine with time to spare writes it in more and
smaller batches.) CPU is that of the process that takes the orders alone. Needs Chromium too.
"""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import aiohttp
from playwright.async_api import async_playwright

from tools.bench.figures import Figure, at_most, figure, ratio
from tools.bench.load import LoadError
from tools.bench.pace import place_at_pace
from tools.bench.paying import wait_until_paid
from tools.bench.stage import Run, Stage
from tools.bench.stored import FinishedOrders
from tools.bench.turns import cpu_seconds
from tools.mongod import temporary_mongod
from tools.process import free_port
from tools.stack import Service, exit_on_sigterm

STORED = 100_000
READERS = 4
PACE = 100  # orders a second
SECONDS = 10


def measure(run: Run) -> list[Figure]:
    """Raises LoadError, ServiceError and MongodError."""
    if (chromium := shutil.which("chromium")) is None:
        raise LoadError("it needs Chromium\n  type: apt-get install chromium")
    command = ["nice", sys.executable, "-m", "tools.bench.console", chromium]
    spent: dict[Service, list[float]] = {}
    with (
        temporary_mongod() as mongod,
        Stage(mongod, run.folder, "console").running(with_gateway=True) as stage,
        _replica(stage) as replica,
    ):
        FinishedOrders(stage).fill(STORED)
        spent = {stage.service: [], replica: []}
        for number in range(run.rounds):
            for watched in spent if number % 2 else reversed(spent):
                with _watching([*command, watched.url]):
                    spent[watched].append(_cpu_an_order(stage))
    watched_ms, unwatched_ms = spent.values()
    return [
        ratio("CPU an order, watched, beside not watched", watched_ms, unwatched_ms, goal=at_most(1.10)),
        figure("CPU an order, watched", "ms", *watched_ms),
        figure("CPU an order, not watched", "ms", *unwatched_ms),
    ]


@contextmanager
def _replica(stage: Stage) -> Iterator[Service]:
    """Another process of the order_api of `stage`."""
    port = free_port()
    environment = {**stage.service.environment, "ORDER_API_PORT": str(port)}
    replica = Service("order_api", port, environment, stage.folder / "replica.log")
    try:
        replica.start()
        yield replica
    finally:
        replica.stop()


def _cpu_an_order(stage: Stage) -> float:
    """From POST to Paid, at PACE, in milliseconds."""
    wait_until_paid(stage.orders)
    before = cpu_seconds(stage.service)
    orders = len(place_at_pace(stage.service.url, per_second=PACE, seconds=SECONDS))
    wait_until_paid(stage.orders)
    return 1000 * (cpu_seconds(stage.service) - before) / orders


@contextmanager
def _watching(command: Sequence[str]) -> Iterator[None]:
    """Runs in a process of its own, to take no time from the process that places the orders."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        try:
            if watching.stdout.readline() != "watching\n":
                raise LoadError("the console does not open")
            yield
            if watching.poll() is not None:
                raise LoadError("who was to watch has gone away")
        finally:
            watching.terminate()


async def watch(chromium: str, url: str) -> None:
    """Watches until SIGTERM. Prints a line once the page has shown orders."""
    async with async_playwright() as playwright, aiohttp.ClientSession(timeout=aiohttp.ClientTimeout()) as session:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = await browser.new_page()
        await page.goto(url)
        await page.locator(".rows > li").first.wait_for()
        print("watching", flush=True)
        await asyncio.gather(*(_read(session, f"{url}/api/stream") for _ in range(READERS)))


async def _read(session: aiohttp.ClientSession, url: str) -> None:
    async with session.get(url) as stream:
        async for _ in stream.content:
            pass


if __name__ == "__main__":
    exit_on_sigterm()
    asyncio.run(watch(*sys.argv[1:]))
