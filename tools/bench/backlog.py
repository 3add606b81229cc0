"""200,000 calls wait while the provider is away: what that costs placing orders, and how fast they are paid later."""

import time
from datetime import timedelta

from tools.bench.figures import Figure, at_least, at_most, figure, ratio
from tools.bench.load import LoadError
from tools.bench.paying import pay, wait_until_paid
from tools.bench.requests import Caller
from tools.bench.stage import Run, Stage
from tools.bench.stored import store_open_orders
from tools.bench.turns import memory_mib
from tools.mongod import temporary_mongod

OPEN = 200_000
AWAY = timedelta(minutes=30)
BACK_SECONDS = 60.0  # until the breaker has noticed that the provider is there again
MOVING = 200  # orders paid, after which a turn begins
WINDOWS = 3  # of a turn's seconds: paying is as uneven as its batches


def measure(run: Run) -> list[Figure]:
    """Raises LoadError, ServiceError and MongodError."""
    placed: list[float] = []
    placed_with_backlog: list[float] = []
    paid: list[float] = []
    paid_off: list[float] = []
    with (
        temporary_mongod() as mongod,
        temporary_mongod() as mongod_of_backlog,
        Stage(mongod, run.folder, "no_backlog").running() as stage,
        Stage(mongod_of_backlog, run.folder, "backlog").running() as backlog,
    ):
        caller, late_caller = Caller(stage, run.seconds), Caller(backlog, run.seconds)
        caller.warm_up()
        late_caller.warm_up()
        store_open_orders(backlog, OPEN, oldest=AWAY)
        for _ in range(run.rounds):
            placed.append(caller.place().load.rate)
            placed_with_backlog.append(late_caller.place().load.rate)
        stage.gateway.start()
        wait_until_paid(stage.orders)
        for _ in range(run.rounds):
            paid.append(pay(stage, run.seconds).rate)
            paid_off.append(_paid_off(backlog, WINDOWS * run.seconds))
        memory, memory_with_backlog = memory_mib(stage.service), memory_mib(backlog.service)
    return [
        ratio(f"placing with {OPEN:,} open calls, beside none", placed_with_backlog, placed, goal=at_least(0.8)),
        ratio("paying them off, beside orders to Paid without them", paid_off, paid, goal=at_least(0.8)),
        ratio("memory of order_api, beside none", [memory_with_backlog], [memory], goal=at_most(1.3)),
        figure("paying them off: rate", "/s", *paid_off),
        figure("orders to Paid without them: rate", "/s", *paid),
        figure("memory of order_api with them", "MiB", memory_with_backlog),
    ]


def _paid_off(stage: Stage, seconds: int) -> float:
    """Returns orders paid a second while the provider is back for some seconds. Then it is away again. Raises LoadError."""
    waiting = _waiting(stage)
    stage.gateway.start()
    deadline = time.monotonic() + BACK_SECONDS
    while waiting - _waiting(stage) < MOVING:
        if time.monotonic() > deadline:
            raise LoadError(f"nothing is paid {BACK_SECONDS:.0f} s after the provider has come back")
        time.sleep(0.2)
    before, began = _waiting(stage), time.monotonic()
    time.sleep(seconds)
    after, took = _waiting(stage), time.monotonic() - began
    stage.gateway.stop()
    return (before - after) / took


def _waiting(stage: Stage) -> int:
    return stage.orders.count_documents({"status": "Pending"})
