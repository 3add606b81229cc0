"""Measures what users feel and operators pay: latencies at a constant rate, CPU, memory, and bytes of the database."""

import time
from datetime import timedelta

from tools.bench.figures import Figure, by_process, figure, percentile
from tools.bench.pace import place_at_pace
from tools.bench.paying import wait_until_paid
from tools.bench.stage import Run, Stage
from tools.bench.stored import MONTH, FinishedOrders
from tools.bench.turns import cpu_of, memory_mib, since
from tools.mongod import Mongod, temporary_mongod

CHARGE_DELAY_SECONDS = 5  # the default of the gateway
SECONDS_AT = {1: 30, 10: 15, 100: 10}  # by the orders a second
LATENCY_AT = (1, 100)
IDLE_SECONDS = 10
MEASURED = 20_000  # orders whose bytes are looked at
AT_REST = "thirty days old, events archived"
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def measure(run: Run) -> list[Figure]:
    """Raises LoadError, ServiceError and MongodError."""
    with temporary_mongod() as mongod:
        with Stage(mongod, run.folder, "user", charge_delay_seconds=CHARGE_DELAY_SECONDS).running(
            with_gateway=True
        ) as stage:
            lived = _lived(stage)
        return [
            *lived,
            *_bytes("a day old", mongod, run, oldest=DAY - HOUR, youngest=timedelta(0), archived=False),
            *_bytes(AT_REST, mongod, run, oldest=MONTH + DAY, youngest=MONTH, archived=True),
        ]


def _lived(stage: Stage) -> list[Figure]:
    place_at_pace(stage.service.url, per_second=10, seconds=2)  # warm-up
    wait_until_paid(stage.orders)
    memory_before = _memory(stage)
    idle = cpu_of(stage.processes)
    time.sleep(IDLE_SECONDS)
    idle = since(idle, stage.processes)
    latencies: list[Figure] = []
    spent: list[Figure] = []
    for pace, seconds in SECONDS_AT.items():
        before = cpu_of(stage.processes)
        took = place_at_pace(stage.service.url, per_second=pace, seconds=seconds)
        time.sleep(CHARGE_DELAY_SECONDS)
        wait_until_paid(stage.orders)
        cpu = since(before, stage.processes)
        spent += by_process(f"CPU a paid order at {pace}/s", "ms", [cpu], scale=1000 / len(took))
        if pace in LATENCY_AT:
            latencies += [
                figure(f"POST at {pace}/s, p{percent}", "ms", 1000 * percentile(took, percent)) for percent in (50, 99)
            ]
    return [
        *latencies,
        *by_process("CPU when idle", "ms/s", [idle], scale=1000 / IDLE_SECONDS),
        *spent,
        *by_process("memory after the start", "MiB", [memory_before]),
        *by_process("memory at the end", "MiB", [_memory(stage)]),
    ]


def _bytes(
    age: str, mongod: Mongod, run: Run, *, oldest: timedelta, youngest: timedelta, archived: bool
) -> list[Figure]:
    """Uncompressed bytes an order: the order, and its event unless that is archived, and their indexes."""
    collections = ["orders"] if archived else ["orders", "payment_events"]
    with Stage(mongod, run.folder, f"{'old' if archived else 'new'}_orders").running(with_gateway=True) as stage:
        FinishedOrders(stage).fill(MEASURED, oldest=oldest, youngest=youngest)
        stats = [stage.database.command("collStats", name) for name in collections]
    return [
        figure(f"{what} of an order, {age}", "bytes", sum(one[field] for one in stats) / MEASURED)
        for what, field in (("data", "size"), ("indexes", "totalIndexSize"))
    ]


def _memory(stage: Stage) -> dict[str, float]:
    return {name: memory_mib(process) for name, process in stage.processes.items()}
