"""`make bench ARGS=console`: what those who watch cost order_api: one browser with the console, and four readers of its
stream, while orders come in at the pace of `bench_against` and STORED are there already. With and without them in turns,
because the machine's speed changes from minute to minute; CPU is order_api's alone. Needs Chromium too.
"""

import asyncio
import shutil
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from bson import ObjectId
from playwright.async_api import async_playwright
from pymongo import MongoClient

from shared.ids import new_id
from tools.bench_against import ROUNDS, paid, place_at_pace, running
from tools.load import LoadError, cpu_seconds

STORED = 100_000
READERS = 4
SECONDS = 10
BOUND = 1.10


def measure_console(_uri: str, folder: Path) -> None:
    if (chromium := shutil.which("chromium")) is None:
        raise SystemExit("bench: console needs Chromium\n  type: apt-get install chromium")
    with running({"CHARGE_DELAY_SECONDS": "0"}, folder) as (_, stack, client):
        asyncio.run(place_at_pace(stack.order_apis[0].url, seconds=2))
        _store_copies(client, STORED)
        ratios = asyncio.run(_rounds(stack.order_apis[0], client, chromium))
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


async def _rounds(service: Any, client: MongoClient[dict[str, Any]], chromium: str) -> list[float]:
    ratios = []
    for number in range(ROUNDS):
        spent = {}
        for watched in (True, False) if number % 2 else (False, True):
            if watched:
                async with _watching(service.url, chromium):
                    spent[True] = await _cpu_an_order(service, client)
            else:
                spent[False] = await _cpu_an_order(service, client)
        ratios.append(spent[True] / spent[False])
        print(
            f"alone {spent[False] * 1000:6.2f} ms an order   watched {spent[True] * 1000:6.2f}   ratio {ratios[-1]:.2f}",
            flush=True,
        )
    return ratios


async def _cpu_an_order(service: Any, client: MongoClient[dict[str, Any]]) -> float:
    """From POST to Paid, at PACE, in seconds."""
    already = await asyncio.to_thread(paid, client)
    began = -cpu_seconds(service)
    await place_at_pace(service.url, seconds=SECONDS)
    now = await asyncio.to_thread(paid, client)
    return (began + cpu_seconds(service)) / (now - already)


@asynccontextmanager
async def _watching(url: str, chromium: str) -> AsyncIterator[None]:
    """The page has shown orders, and every reader has heard something, before it begins."""
    async with async_playwright() as playwright, aiohttp.ClientSession(timeout=aiohttp.ClientTimeout()) as session:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        readers = [asyncio.create_task(_read(session, f"{url}/api/stream")) for _ in range(READERS)]
        try:
            page = await browser.new_page()
            await page.goto(url)
            await page.get_by_role("link", name="ORD").or_(page.locator("main a")).first.wait_for()
            began = time.monotonic()
            yield
            if time.monotonic() - began < SECONDS or any(reader.done() for reader in readers):
                raise LoadError("somebody who was to watch has gone away")
        finally:
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)
            await browser.close()


async def _read(session: aiohttp.ClientSession, url: str) -> None:
    async with session.get(url) as stream:
        async for _ in stream.content:
            pass
