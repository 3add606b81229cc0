"""Measures what metrics and logs cost: orders placed with both on, and scraped, and with both off, in many short turns."""

import threading
import urllib.request

from tools.bench.figures import Figure, figure
from tools.bench.requests import Caller
from tools.bench.stage import Run, Stage
from tools.bench.turns import Turn
from tools.mongod import temporary_mongod

SECONDS = 2  # a small difference is looked for, on a machine whose speed changes
TURNS = 5  # a round


def measure(run: Run) -> list[Figure]:
    """Raises LoadError, ServiceError and MongodError."""
    watched: list[Turn] = []
    bare: list[Turn] = []
    with (
        temporary_mongod() as mongod,
        Stage(mongod, run.folder, "watched").running() as shipped,
        Stage(mongod, run.folder, "unwatched", module="tools.bench.unwatched").running() as unwatched,
    ):
        callers = {stage: Caller(stage, SECONDS) for stage in (shipped, unwatched)}
        for caller in callers.values():
            caller.warm_up()
        for number in range(run.rounds * TURNS):
            for stage in (shipped, unwatched) if number % 2 else (unwatched, shipped):
                if stage is shipped:
                    threading.Timer(SECONDS / 2, _scrape, [stage.service.url]).start()
                (watched if stage is shipped else bare).append(callers[stage].place())
    pairs = list(zip(watched, bare, strict=True))
    return [
        figure("of the rate", "%", *(100 * (1 - on.load.rate / off.load.rate) for on, off in pairs)),
        figure("of order_api's CPU an order", "%", *(100 * (1 - _cpu(off) / _cpu(on)) for on, off in pairs)),
    ]


def _cpu(turn: Turn) -> float:
    """CPU of the service, without mongod."""
    return sum(spent for name, spent in turn.cpu_us.items() if name != "mongod")


def _scrape(url: str) -> None:
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as response:
        response.read()
