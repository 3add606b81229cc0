"""`make bench`: what placing an order costs beside answering without a database, what metrics and logs cost, how many
orders get paid a second, and the gateway beside localstripe. `ARGS` names those that are wanted: intake, watching, paid,
gateway, console; and against, which compares with the commit BASE.

Rates depend on the machine; the ratio is the figure to compare. Needs wrk (Debian and Ubuntu: apt-get install wrk).
"""

import os
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from tools import load
from tools.bench_against import measure_against
from tools.bench_console import measure_console
from tools.bench_gateway import measure_gateway
from tools.load import LoadError, cpu_seconds
from tools.mongod import temporary_mongod
from tools.process import free_port
from tools.stack import Service, ServiceError, Stack, exit_on_sigterm, set_aside

CONNECTIONS = 64
SECONDS = int(os.environ.get("BENCH_SECONDS", "8"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
WATCHING_SECONDS = 2  # many short turns: a small difference is looked for, on a machine whose speed changes
WATCHING_ROUNDS = ROUNDS * 5


def main() -> None:
    exit_on_sigterm()
    load.require_wrk()
    named = sys.argv[1:] or [name for name in MEASURES if name != "against"]
    wanted = [measure for name, measure in MEASURES.items() if name in named]
    if unused := set_aside():
        print(unused, flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, temporary_mongod() as mongod:
        try:
            for measure in wanted:
                measure(mongod.uri, Path(folder))
        except (LoadError, ServiceError) as error:
            raise SystemExit(f"bench: {error}") from None


def compare_intake(uri: str, folder: Path) -> None:
    """The same route answering at once and placing orders, in turn. The gateway is unreachable: its breaker is open."""
    script = load.script(folder, "orders", load.ORDERS_LUA)
    ratios = []
    stack = Stack(uri, folder, order_apis=[free_port()], gateways=[free_port()])
    [order_api] = stack.order_apis
    try:
        order_api.start()
        with instant_answers(folder) as instant:
            for url in (instant, order_api.url):
                wrk(url, script, seconds=2)  # warm-up
            for _ in range(ROUNDS):
                ceiling, placed = wrk(instant, script), wrk(order_api.url, script)
                ratios.append(placed / ceiling)
                print(
                    f"no database {ceiling:7.0f}/s   orders placed {placed:7.0f}/s   ratio {ratios[-1]:.2f}", flush=True
                )
    finally:
        order_api.stop()
    print(f"median ratio {statistics.median(ratios):.2f}\n", flush=True)


def compare_watching(uri: str, folder: Path) -> None:
    """Orders placed with metrics and logs as shipped, scraped too, and with both off, in turn. The machine's own speed
    changes from minute to minute, so what is compared ran side by side.
    """
    script = load.script(folder, "orders", load.ORDERS_LUA)
    shipped = _order_api_alone(uri, folder, "order_api")
    bare = _order_api_alone(uri, folder, "tools.unwatched")
    rates: dict[Service, list[float]] = {shipped: [], bare: []}
    try:
        for service in rates:
            service.start()
            wrk(service.url, script, seconds=2)  # warm-up
        spent = {service: -cpu_seconds(service) for service in rates}
        for number in range(WATCHING_ROUNDS):
            for service in (shipped, bare) if number % 2 else (bare, shipped):
                if service is shipped:
                    threading.Timer(WATCHING_SECONDS / 2, _scrape, [service.url]).start()
                rates[service].append(wrk(service.url, script, seconds=WATCHING_SECONDS))
            on, off = rates[shipped][-1], rates[bare][-1]
            print(f"both off {off:7.0f}/s   metrics and logs on {on:7.0f}/s   cost {1 - on / off:6.1%}", flush=True)
        cpu = {
            service: (spent[service] + cpu_seconds(service)) / (sum(rates[service]) * WATCHING_SECONDS)
            for service in rates
        }
    finally:
        for service in rates:
            service.stop()
    on, off = (statistics.median(rates[service]) for service in rates)
    pairs = [1 - on / off for on, off in zip(rates[shipped], rates[bare], strict=True)]
    print(
        f"metrics and logs cost {1 - on / off:.1%} of intake by the medians, {statistics.median(pairs):.1%} by the "
        f"median pair,\nand {1 - cpu[bare] / cpu[shipped]:.1%} of order_api's CPU: "
        f"{cpu[shipped] * 1000:.2f} ms an order instead of {cpu[bare] * 1000:.2f}\n",
        flush=True,
    )


def _order_api_alone(uri: str, folder: Path, module: str) -> Service:
    """`module` with a database and a log file of its own, and no gateway: its breaker is open."""
    names = {"ORDER_API_DATABASE": module.replace(".", "_")}
    [service] = Stack(
        uri, folder / module, order_apis=[free_port()], gateways=[free_port()], environment=names
    ).order_apis
    service.module = module
    service.log_file.parent.mkdir()
    return service


def _scrape(url: str) -> None:
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as response:
        response.read()


def measure_paid(uri: str, folder: Path) -> None:
    """Everything running, charges settling at once: orders from POST to Paid."""
    script = load.script(folder, "orders", load.ORDERS_LUA)
    environment = {
        "CHARGE_DELAY_SECONDS": "0",
        "ORDER_API_DATABASE": "paid",
        "PAYMENT_GATEWAY_DATABASE": "paid_gateway",
    }
    stack = Stack(uri, folder, order_apis=[free_port()], gateways=[free_port()], environment=environment)
    with stack.running(), MongoClient[dict[str, Any]](uri) as client:
        orders = client["paid"]["orders"]
        started = time.monotonic()
        wrk(stack.order_apis[0].url, script, seconds=SECONDS)
        placed = time.monotonic()
        while orders.count_documents({"status": "Pending"}):
            time.sleep(0.2)
        ended = time.monotonic()
        paid = orders.count_documents({"status": "Paid"})
        cpu = sum(cpu_seconds(service) for service in stack.services)
    print(
        f"paid {paid} orders in {ended - started:.1f} s: {paid / (ended - started):.0f}/s from first POST to last Paid"
    )
    print(f"the last was paid {ended - placed:.1f} s after the last POST; {cpu / paid * 1000:.2f} ms of CPU an order")


@contextmanager
def instant_answers(folder: Path) -> Iterator[str]:
    """The URL of order_api's routes with nothing behind them: see tools/instant.py."""
    service = Service("tools.instant", free_port(), {}, folder / "instant.log")
    service.environment["ORDER_API_PORT"] = str(service.port)
    service.start()
    try:
        yield service.url
    finally:
        service.stop()


def wrk(url: str, script: Path, *, seconds: int = SECONDS) -> float:
    """Orders placed a second. Raises LoadError."""
    return load.wrk(url, script, connections=CONNECTIONS, seconds=seconds)


MEASURES = {
    "intake": compare_intake,
    "watching": compare_watching,
    "paid": measure_paid,
    "gateway": measure_gateway,
    "console": measure_console,
    "against": measure_against,
}

if __name__ == "__main__":
    main()
