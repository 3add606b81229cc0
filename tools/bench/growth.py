"""Measures whether it stays as fast as it was: every rate with few, more and a million orders stored, in turns."""

from contextlib import ExitStack

from tools.bench.answers import KINDS
from tools.bench.figures import Figure, at_least, figure, ratio
from tools.bench.paying import pay
from tools.bench.requests import Caller
from tools.bench.stage import Run, Stage
from tools.bench.stored import FinishedOrders
from tools.mongod import temporary_mongod

SIZES = (10_000, 100_000, 1_000_000)
KEPT = at_least(0.9)

Rates = dict[str, dict[int, list[float]]]  # by what is measured, then by how many orders are stored


def measure(run: Run) -> list[Figure]:
    """Raises LoadError, ServiceError and MongodError."""
    sizes = [size for size in SIZES if size <= max(run.stored_max, SIZES[0])]
    rates: Rates = {kind: {size: [] for size in sizes} for kind in (*KINDS, "paid")}
    with ExitStack() as stack:
        stages = {size: _stored(stack, run, size) for size in sizes}
        for number in range(run.rounds):
            for size in _in_turn(sizes, number):
                rates["paid"][size].append(pay(stages[size], run.seconds).rate)
        for stage in stages.values():
            stage.gateway.stop()
        callers = {size: Caller(stages[size], run.seconds) for size in sizes}
        for number in range(run.rounds):
            for kind in KINDS:
                for size in _in_turn(sizes, number):
                    rates[kind][size].append(getattr(callers[size], kind)().load.rate)
    return _figures(rates, sizes)


def _stored(stack: ExitStack, run: Run, size: int) -> Stage:
    """A stage with a MongoDB of its own and so many orders in it, spread over thirty days."""
    mongod = stack.enter_context(temporary_mongod())
    stage = stack.enter_context(Stage(mongod, run.folder, f"stored_{size}").running(with_gateway=True))
    FinishedOrders(stage).fill(size)
    return stage


def _in_turn(sizes: list[int], number: int) -> list[int]:
    """Reverses the order every second time, so that none is always the first."""
    return sizes[:: -1 if number % 2 else 1]


def _figures(rates: Rates, sizes: list[int]) -> list[Figure]:
    few, *more = sizes
    compared = [
        ratio(
            f"{what} with {size:,} orders, beside {few:,}",
            rates[what][size],
            rates[what][few],
            goal=KEPT if size == sizes[-1] else None,
        )
        for what in rates
        for size in more
    ]
    plain = [figure(f"{what} with {size:,} orders: rate", "/s", *rates[what][size]) for what in rates for size in sizes]
    return [*compared, *plain]
