"""`make bench ARGS=against BASE=<commit>`: compares what an order costs now with what it cost at an earlier commit.

Both run here, in turns of one run, each with a MongoDB of its own. CPU is that of every process of the stack together,
mongod included.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from tools.bench.figures import Figure, figure, percentile, ratio
from tools.bench.load import LoadError, script, wrk
from tools.bench.pace import place_at_pace
from tools.bench.paying import wait_until_paid
from tools.bench.requests import ORDERS_LUA
from tools.bench.stage import CONNECTIONS, Run
from tools.bench.turns import cpu_seconds
from tools.mongod import Mongod, temporary_mongod
from tools.process import free_port
from tools.stack import Service, Stack

ROOT = Path(__file__).parents[2]
PACE = 100  # orders a second
PACED_SECONDS = 10

_COMMANDS = (
    *("insert", "update", "delete", "find", "aggregate", "findAndModify", "getMore", "count", "distinct"),
    *("commitTransaction", "abortTransaction"),
)


# What one order costs in one round, each with its unit.
COSTS = {
    "CPU at intake": "ms",
    "CPU to Paid, saturated": "ms",
    f"CPU to Paid at {PACE}/s": "ms",
    f"MongoDB commands to Paid at {PACE}/s": "",
    f"p50 of the POST at {PACE}/s": "ms",
    f"p99 of the POST at {PACE}/s": "ms",
}


def measure(run: Run) -> list[Figure]:
    """Raises LoadError, ServiceError and MongodError."""
    base = os.environ.get("BASE")
    if not base:
        raise LoadError("it needs BASE=<commit>, an earlier commit to compare with")
    with _worktree(base) as tree:
        measured: dict[Path, list[list[float]]] = {tree: [], ROOT: []}
        for number in range(run.rounds):
            for one in (tree, ROOT) if number % 2 == 0 else (ROOT, tree):
                measured[one].append(_round(one, run, f"{number}-{one.name}"))
    figures = []
    for index, (cost, unit) in enumerate(COSTS.items()):
        was, now = ([one[index] for one in measured[tree]], [one[index] for one in measured[ROOT]])
        figures += [
            ratio(f"{cost}, beside {base[:10]}", now, was),
            figure(f"{cost}, now", unit, *now),
            figure(f"{cost}, at {base[:10]}", unit, *was),
        ]
    return figures


@contextmanager
def _worktree(commit: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="base-") as directory:
        tree = Path(directory) / "tree"
        git = ["git", "-C", str(ROOT), "worktree"]
        done = subprocess.run([*git, "add", "--detach", str(tree), commit], capture_output=True, text=True, check=False)
        if done.returncode:
            raise LoadError(f"BASE: {done.stderr.strip()}")
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], capture_output=True, check=False)


def _round(tree: Path, run: Run, name: str) -> list[float]:
    path = os.pathsep.join([str(tree), str(tree / "services")])
    code = {"PYTHONPATH": path, "PYTHONSAFEPATH": "1", "CHARGE_DELAY_SECONDS": "0"}
    lua = script(run.folder, name, ORDERS_LUA)
    return [_intake(code, lua, run), _saturated(code, lua, run), *_paced(code, run.folder)]


def _intake(code: Mapping[str, str], lua: Path, run: Run) -> float:
    """CPU of order_api and mongod an order while the gateway is unreachable, so that orders are only placed."""
    with temporary_mongod() as mongod:
        [order_api] = _stack(mongod, code, run.folder).order_apis
        try:
            order_api.start()
            wrk(order_api.url, lua, connections=CONNECTIONS, seconds=2)
            spent = -_cpu(mongod, [order_api])
            load = wrk(order_api.url, lua, connections=CONNECTIONS, seconds=run.seconds)
            return (spent + _cpu(mongod, [order_api])) * 1000 / load.requests
        finally:
            order_api.stop()


def _saturated(code: Mapping[str, str], lua: Path, run: Run) -> float:
    """CPU of all processes an order, from as many POSTs as it takes to the last Paid."""
    with running(code, run.folder) as (mongod, stack, client):
        wrk(stack.order_apis[0].url, lua, connections=CONNECTIONS, seconds=1)
        already = paid(client)
        spent = -_cpu(mongod, stack.services)
        wrk(stack.order_apis[0].url, lua, connections=CONNECTIONS, seconds=run.seconds)
        now = paid(client)
        return (spent + _cpu(mongod, stack.services)) * 1000 / (now - already)


def _paced(code: Mapping[str, str], folder: Path) -> list[float]:
    """At PACE orders a second: CPU and commands an order, p50 and p99 of the POST."""
    with running(code, folder) as (mongod, stack, client):
        place_at_pace(stack.order_apis[0].url, per_second=PACE, seconds=2)
        already = paid(client)
        spent, sent = -_cpu(mongod, stack.services), -_commands(client)
        took = place_at_pace(stack.order_apis[0].url, per_second=PACE, seconds=PACED_SECONDS)
        orders = paid(client) - already
        cpu, commands = spent + _cpu(mongod, stack.services), sent + _commands(client)
    latencies = [1000 * percentile(took, percent) for percent in (50, 99)]
    return [cpu * 1000 / orders, commands / orders, *latencies]


@contextmanager
def running(
    code: Mapping[str, str], folder: Path, *, order_apis: int = 1
) -> Iterator[tuple[Mongod, Stack, MongoClient[dict[str, Any]]]]:
    """A whole stack that runs the code which `code` leads to. Raises ServiceError and MongodError."""
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
    """Returns how many orders are Paid, once none is Pending. Raises LoadError."""
    orders = client["order_api"]["orders"]
    wait_until_paid(orders)
    return orders.count_documents({"status": "Paid"})


def _commands(client: MongoClient[dict[str, Any]]) -> int:
    counted = client.admin.command("serverStatus")["metrics"]["commands"]
    return sum(int(counted[name]["total"]) for name in _COMMANDS if name in counted)
