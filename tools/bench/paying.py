"""Orders all the way to Paid."""

import json
import time
import urllib.request
from typing import Any, NamedTuple

from tools.bench.load import LoadError, script, wrk
from tools.bench.requests import ORDERS_LUA
from tools.bench.stage import CONNECTIONS, Documents, Stage
from tools.bench.turns import cpu_of, since

DRAIN_SECONDS = 180.0
PLACING_SECONDS = 10.0
LOOK_SECONDS = 0.1  # each look costs the MongoDB that is measured


class Paid(NamedTuple):
    """`rate` is orders a second from the first POST to the last Paid; `cpu_us` microseconds of CPU an order, by process."""

    rate: float
    cpu_us: dict[str, float]

    @property
    def cpu_us_of_all(self) -> float:
        return sum(self.cpu_us.values())


def pay(stage: Stage, seconds: int) -> Paid:
    """Sends as many POSTs as are taken in `seconds`, and waits until all orders are Paid. Raises LoadError."""
    before, cpu = stage.orders.estimated_document_count(), cpu_of(stage.processes)
    began = time.monotonic()
    lua = script(stage.folder, "pay", ORDERS_LUA)
    wrk(stage.service.url, lua, connections=CONNECTIONS, seconds=seconds)
    wait_until_paid(stage.orders)
    took = time.monotonic() - began
    orders = stage.orders.estimated_document_count() - before
    return Paid(orders / took, {name: 1e6 * spent / orders for name, spent in since(cpu, stage.processes).items()})


def wait_until_paid(orders: Documents) -> None:
    """Returns when no order is Pending. Raises LoadError."""
    deadline = time.monotonic() + DRAIN_SECONDS
    while orders.count_documents({"status": "Pending"}, limit=1):
        if time.monotonic() > deadline:
            raise LoadError(f"orders are still Pending after {DRAIN_SECONDS:.0f} s")
        time.sleep(LOOK_SECONDS)


def place(url: str, key: str, number: str) -> str:
    """Places one order, and returns its id. Raises OSError."""
    order = {"orderNumber": number, "amount": 99.99, "currency": "USD", "metadata": {"basket": "7"}}
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    request = urllib.request.Request(f"{url}/api/orders", json.dumps(order).encode(), headers)
    with urllib.request.urlopen(request, timeout=PLACING_SECONDS) as response:
        placed: dict[str, Any] = json.load(response)
    return str(placed["id"])
