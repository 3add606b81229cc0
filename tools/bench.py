"""`make bench`: what placing an order costs beside answering without a database, what metrics and logs cost, and how many
orders get paid a second. `ARGS` names those of the three that are wanted: intake, watching, paid.

Rates depend on the machine; the ratio is the figure to compare. Needs wrk (Debian and Ubuntu: apt-get install wrk).
"""

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from pymongo import MongoClient

from tools.mongod import temporary_mongod
from tools.process import free_port
from tools.stack import Service, Stack, exit_on_sigterm

CONNECTIONS = 64
SECONDS = int(os.environ.get("BENCH_SECONDS", "8"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
WATCHING_SECONDS = 2  # many short turns: a small difference is looked for, on a machine whose speed changes
WATCHING_ROUNDS = ROUNDS * 5

_ORDERS_LUA = """
local run = os.getenv("BENCH_RUN")
local count = 0
request = function()
  count = count + 1
  local name = run .. "-" .. count
  wrk.headers["Idempotency-Key"] = name
  local body = '{"orderNumber":"' .. name .. '","amount":99.99,"currency":"USD","metadata":{"basket":"7"}}'
  return wrk.format("POST", "/api/orders", nil, body)
end
wrk.headers["Content-Type"] = "application/json"
"""


def main() -> None:
    exit_on_sigterm()
    if shutil.which("wrk") is None:
        raise SystemExit("bench: wrk is missing\n  type: apt-get install wrk")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, temporary_mongod() as mongod:
        script = Path(folder) / "orders.lua"
        script.write_text(_ORDERS_LUA)
        for name, measure in MEASURES.items():
            if name in sys.argv[1:] or not sys.argv[1:]:
                measure(mongod.uri, Path(folder), script)


def compare_intake(uri: str, folder: Path, script: Path) -> None:
    """The same route answering at once and placing orders, in turn. The gateway is unreachable: its breaker is open."""
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


def compare_watching(uri: str, folder: Path, script: Path) -> None:
    """Orders placed with metrics and logs as shipped, scraped too, and with both off, in turn. The machine's own speed
    changes from minute to minute, so what is compared ran side by side.
    """
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


def measure_paid(uri: str, folder: Path, script: Path) -> None:
    """Everything running, charges settling at once: orders from POST to Paid."""
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
    service._environment["ORDER_API_PORT"] = str(service.port)
    service.start()
    try:
        yield service.url
    finally:
        service.stop()


def wrk(url: str, script: Path, *, seconds: int = SECONDS) -> float:
    """Requests a second that were answered with 2xx. Ends the run if any was not."""
    environment = {**os.environ, "BENCH_RUN": uuid4().hex[:8]}
    command: list[str | Path] = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", script, url]
    output = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    if "Non-2xx" in output or (rate := re.search(r"Requests/sec:\s+([\d.]+)", output)) is None:
        raise SystemExit(f"bench: not all answers were 2xx\n{output}")
    return float(rate[1])


def cpu_seconds(service: Service) -> float:
    """What the process has used so far (Linux only; elsewhere 0)."""
    assert service.process is not None
    stat = Path(f"/proc/{service.process.pid}/stat")
    if not stat.exists():
        return 0.0
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


MEASURES = {"intake": compare_intake, "watching": compare_watching, "paid": measure_paid}

if __name__ == "__main__":
    main()
