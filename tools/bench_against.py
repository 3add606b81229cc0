"""`make bench ARGS=against BASE=<commit>`: what an order costs now, beside what it cost at an earlier commit.

Both run here, in turns of one run, each with a MongoDB of its own: ratios are what to look at, since the machine's speed
changes from minute to minute. CPU is that of every process of the stack together, mongod included.
"""

import asyncio
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import aiohttp
from pymongo import MongoClient

from tools import load
from tools.load import cpu_seconds
from tools.mongod import Mongod, temporary_mongod
from tools.process import free_port
from tools.stack import Service, Stack

ROOT = Path(__file__).parent.parent
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "4"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "6"))
CONNECTIONS = 64
PACE = 100  # orders a second
PACED_SECONDS = 10
DRAIN_SECONDS = 120.0

_COMMANDS = (
    *("insert", "update", "delete", "find", "aggregate", "findAndModify", "getMore", "count", "distinct"),
    *("commitTransaction", "abortTransaction"),
)


class Figure(NamedTuple):
    """What one order costs in one round, and what it should at most cost of what it cost before."""

    name: str
    unit: str
    bound: float


FIGURES = (
    Figure("CPU at intake", "ms", 0.70),
    Figure("CPU to Paid, saturated", "ms", 0.82),
    Figure(f"CPU to Paid at {PACE}/s", "ms", 0.72),
    Figure(f"MongoDB commands to Paid at {PACE}/s", "", 0.47),
    Figure(f"p50 of the POST at {PACE}/s", "ms", 0.60),
    Figure(f"p99 of the POST at {PACE}/s", "ms", 1.0),
)


def measure_against(_uri: str, folder: Path) -> None:
    base = os.environ.get("BASE")
    if not base:
        raise SystemExit("bench: against needs BASE=<commit>, an earlier commit to compare with")
    with _worktree(base) as tree:
        measured: dict[Path, list[list[float]]] = {tree: [], ROOT: []}
        for number in range(ROUNDS):
            for one in (tree, ROOT) if number % 2 == 0 else (ROOT, tree):
                measured[one].append(_round(one, folder, f"{number}-{one.name}"))
            before, after = measured[tree][-1], measured[ROOT][-1]
            ratios = "  ".join(f"{now / was:.2f}" for was, now in zip(before, after, strict=True))
            print(f"round {number + 1}: {ratios}", flush=True)
    print(f"\n{'':38}{base[:10]:>12}{'now':>12}{'ratio':>8}   lowest to highest")
    for index, figure in enumerate(FIGURES):
        was, now = ([one[index] for one in measured[tree]], [one[index] for one in measured[ROOT]])
        ratios_of = sorted(after / before for before, after in zip(was, now, strict=True))
        print(
            f"{figure.name:38}{statistics.median(was):>9.2f} {figure.unit:2}{statistics.median(now):>9.2f} {figure.unit:2}"
            f"{statistics.median(ratios_of):>8.2f}   {ratios_of[0]:.2f} to {ratios_of[-1]:.2f}; at most {figure.bound:.2f}"
        )


@contextmanager
def _worktree(commit: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="base-") as directory:
        tree = Path(directory) / "tree"
        git = ["git", "-C", str(ROOT), "worktree"]
        done = subprocess.run([*git, "add", "--detach", str(tree), commit], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"bench: BASE: {done.stderr.strip()}")
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], capture_output=True, check=False)


def _round(tree: Path, folder: Path, name: str) -> list[float]:
    path = os.pathsep.join([str(tree), str(tree / "services")])
    code = {"PYTHONPATH": path, "PYTHONSAFEPATH": "1", "CHARGE_DELAY_SECONDS": "0"}
    script = load.script(folder, name, load.ORDERS_LUA)
    intake = _intake(code, script, folder)
    saturated = _saturated(code, script, folder)
    return [intake, saturated, *_paced(code, folder)]


def _intake(code: Mapping[str, str], script: Path, folder: Path) -> float:
    """CPU of order_api and mongod an order, with the gateway unreachable: nothing but placing."""
    with temporary_mongod() as mongod:
        [order_api] = _stack(mongod, code, folder).order_apis
        try:
            order_api.start()
            load.wrk(order_api.url, script, connections=CONNECTIONS, seconds=2)
            spent = -_cpu(mongod, [order_api])
            rate = load.wrk(order_api.url, script, connections=CONNECTIONS, seconds=SECONDS)
            return (spent + _cpu(mongod, [order_api])) * 1000 / (rate * SECONDS)
        finally:
            order_api.stop()


def _saturated(code: Mapping[str, str], script: Path, folder: Path) -> float:
    """CPU of all processes an order, from as many POSTs as it takes to the last Paid."""
    with running(code, folder) as (mongod, stack, client):
        load.wrk(stack.order_apis[0].url, script, connections=CONNECTIONS, seconds=1)
        already = paid(client)
        spent = -_cpu(mongod, stack.services)
        load.wrk(stack.order_apis[0].url, script, connections=CONNECTIONS, seconds=SECONDS)
        now = paid(client)
        return (spent + _cpu(mongod, stack.services)) * 1000 / (now - already)


def _paced(code: Mapping[str, str], folder: Path) -> list[float]:
    """At PACE orders a second: CPU and commands an order, p50 and p99 of the POST."""
    with running(code, folder) as (mongod, stack, client):
        asyncio.run(place_at_pace(stack.order_apis[0].url, seconds=2))
        already = paid(client)
        spent, sent = -_cpu(mongod, stack.services), -_commands(client)
        took = sorted(asyncio.run(place_at_pace(stack.order_apis[0].url, seconds=PACED_SECONDS)))
        orders = paid(client) - already
        cpu, commands = spent + _cpu(mongod, stack.services), sent + _commands(client)
    p50, p99 = took[len(took) // 2], took[len(took) * 99 // 100]
    return [cpu * 1000 / orders, commands / orders, p50 * 1000, p99 * 1000]


@contextmanager
def running(
    code: Mapping[str, str], folder: Path, *, order_apis: int = 1
) -> Iterator[tuple[Mongod, Stack, MongoClient[dict[str, Any]]]]:
    with (
        temporary_mongod() as mongod,
        _stack(mongod, code, folder, order_apis).running() as stack,
        MongoClient[dict[str, Any]](mongod.uri) as client,
    ):
        yield mongod, stack, client


def _stack(mongod: Mongod, code: Mapping[str, str], folder: Path, order_apis: int = 1) -> Stack:
    ports = [free_port() for _ in range(order_apis)]
    return Stack(mongod.uri, folder, order_apis=ports, gateways=[free_port()], environment=code)


def _cpu(mongod: Mongod, services: list[Service]) -> float:
    return cpu_seconds(mongod) + sum(cpu_seconds(service) for service in services)


def paid(client: MongoClient[dict[str, Any]]) -> int:
    """How many orders are Paid, once none is Pending."""
    orders = client["order_api"]["orders"]
    deadline = time.monotonic() + DRAIN_SECONDS
    while orders.count_documents({"status": "Pending"}, limit=1):
        if time.monotonic() > deadline:
            raise load.LoadError(f"orders are still Pending after {DRAIN_SECONDS:.0f} s")
        time.sleep(0.2)
    return orders.count_documents({"status": "Paid"})


def _commands(client: MongoClient[dict[str, Any]]) -> int:
    counted = client.admin.command("serverStatus")["metrics"]["commands"]
    return sum(int(counted[name]["total"]) for name in _COMMANDS if name in counted)


async def place_at_pace(url: str, *, seconds: int) -> list[float]:
    """Seconds that each POST took, of PACE a second, whether or not the one before is answered."""
    run, began = uuid4().hex[:8], time.monotonic()
    async with aiohttp.ClientSession() as session:

        async def place(number: int) -> float:
            await asyncio.sleep(began + number / PACE - time.monotonic())
            order = {"orderNumber": f"{run}-{number}", "amount": 99.99, "currency": "USD", "metadata": {"basket": "7"}}
            sent = time.perf_counter()
            async with session.post(
                f"{url}/api/orders", json=order, headers={"Idempotency-Key": f"{run}-{number}"}
            ) as answer:
                await answer.read()
            if answer.status != 201:
                raise load.LoadError(f"{answer.status} for an order")
            return time.perf_counter() - sent

        return await asyncio.gather(*(place(number) for number in range(PACE * seconds)))
