"""`make bench ARGS=console`: what those who watch cost order_api: one browser with the console, and four readers of its
stream, while orders come in at the pace of `bench_against` and STORED are there already.

They watch all the time: in one half of each round the process that takes the orders, in the other half another replica, so
that the machine is equally busy. (With nobody watching, an order costs more: a machine with time to spare writes it in more
and smaller batches.) CPU is that of the process that takes the orders alone. Needs Chromium too.
"""

import asyncio
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
from bson import ObjectId
from playwright.async_api import async_playwright
from pymongo import MongoClient

from shared.ids import new_id
from tools.bench_against import ROUNDS, paid, place_at_pace, running
from tools.load import LoadError, cpu_seconds
from tools.stack import Service, exit_on_sigterm

STORED = 100_000
READERS = 4
SECONDS = 10
BOUND = 1.10


def measure_console(_uri: str, folder: Path) -> None:
    if (chromium := shutil.which("chromium")) is None:
        raise SystemExit("bench: console needs Chromium\n  type: apt-get install chromium")
    with running({"CHARGE_DELAY_SECONDS": "0"}, folder, order_apis=2) as (_, stack, client):
        asyncio.run(place_at_pace(stack.order_apis[0].url, seconds=2))
        _store_copies(client, STORED)
        command = ["nice", sys.executable, "-m", "tools.bench_console", chromium]
        ratios = _rounds(stack.order_apis[0], stack.order_apis[1], client, command)
    print(
        f"who watches costs order_api {statistics.median(ratios) - 1:+.1%} of its CPU an order by the median of "
        f"{len(ratios)} pairs, {min(ratios) - 1:+.1%} to {max(ratios) - 1:+.1%}; at most {BOUND - 1:+.0%}\n",
        flush=True,
    )


def _store_copies(client: MongoClient[dict[str, Any]], count: int) -> None:
    """Of an order that is paid, by direct insert, each with ids of its own."""
    paid(client)
    orders = client["order_api"]["orders"]
    one = orders.find_one({"status": "Paid"})
    assert one is not None
    long_ago = ObjectId("00" * 12)
    for start in range(0, count, 1000):
        orders.insert_many([_copy(one, number, long_ago) for number in range(start, min(start + 1000, count))])


def _copy(one: dict[str, Any], number: int, writer: ObjectId) -> dict[str, Any]:
    own_id = new_id("ord")
    calls = [{**call, "id": new_id("obx")} for call in one["calls"]]
    keys = [{**key, "value": f"stored-{number}"} for key in one["keys"]]
    return {**one, "_id": own_id, "order_number": f"stored-{number}", "calls": calls, "keys": keys, "writer": writer}


def _rounds(
    service: Service, replica: Service, client: MongoClient[dict[str, Any]], command: Sequence[str]
) -> list[float]:
    ratios = []
    for number in range(ROUNDS):
        spent = {}
        for watched in (service, replica) if number % 2 else (replica, service):
            with _watching([*command, watched.url]):
                spent[watched] = _cpu_an_order(service, client)
        ratios.append(spent[service] / spent[replica])
        print(
            f"not watched {spent[replica] * 1000:6.2f} ms an order   watched {spent[service] * 1000:6.2f}   "
            f"ratio {ratios[-1]:.2f}",
            flush=True,
        )
    return ratios


def _cpu_an_order(service: Service, client: MongoClient[dict[str, Any]]) -> float:
    """From POST to Paid, at PACE, in seconds."""
    already = paid(client)
    began = -cpu_seconds(service)
    asyncio.run(place_at_pace(service.url, seconds=SECONDS))
    now = paid(client)
    return (began + cpu_seconds(service)) / (now - already)


@contextmanager
def _watching(command: Sequence[str]) -> Iterator[None]:
    """In a process of its own, which takes nothing from who places the orders."""
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
    """Until SIGTERM. Says so once the page has shown orders."""
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
