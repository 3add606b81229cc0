"""Placing orders when the index of idempotency keys no longer fits into MongoDB's cache."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from tools.bench.figures import Figure, at_least, figure, ratio
from tools.bench.intake import rates
from tools.bench.requests import Caller
from tools.bench.stage import Run, Stage
from tools.bench.stored import FinishedOrders
from tools.bench.turns import Turn
from tools.mongod import Mongod

CACHE_GB = 0.25  # the least that MongoDB can be given
CACHE_GB_TO_FILL = 2.0
FEW = 10_000
KEY_LENGTH = 255  # the longest that is taken, so that fewer orders make an index larger than the cache
SINCE = timedelta(hours=23)  # so that all orders still have their keys
KEYS = "merchant_1_keys.value_1"


def measure(run: Run) -> list[Figure]:
    """Raises LoadError, ServiceError and MongodError."""
    stored = run.stored_max  # a million make an index that is larger than the cache
    few: list[Turn] = []
    many: list[Turn] = []
    with (
        _filled(run, FEW) as (mongod, _),
        _filled(run, stored) as (full, index_bytes),
        Stage(mongod, run.folder, f"keys_{FEW}").running() as stage,
        Stage(full, run.folder, f"keys_{stored}").running() as full_stage,
    ):
        caller, full_caller = Caller(stage, run.seconds), Caller(full_stage, run.seconds)
        caller.warm_up()
        full_caller.warm_up()
        for _ in range(run.rounds):
            few.append(caller.place())
            many.append(full_caller.place())
    return [
        ratio(f"placing with {stored:,} long keys, beside {FEW:,}", rates(many), rates(few), goal=at_least(0.9)),
        figure("the index of keys, beside the cache", "times", index_bytes / (CACHE_GB * 2**30)),
        figure(f"placing with {stored:,} long keys: rate", "/s", *rates(many)),
        figure(f"placing with {FEW:,} long keys: rate", "/s", *rates(few)),
    ]


@contextmanager
def _filled(run: Run, count: int) -> Iterator[tuple[Mongod, int]]:
    """A MongoDB with a small cache and `count` orders of the last day, and the size of the index of their keys in bytes. It
    is filled with a large cache, which takes a fraction of the time.
    """
    with tempfile.TemporaryDirectory(prefix="mongod-", ignore_cleanup_errors=True) as directory:
        roomy = Mongod(Path(directory), cache_gb=CACHE_GB_TO_FILL)
        try:
            roomy.start()
            with Stage(roomy, run.folder, f"keys_{count}").running(with_gateway=True) as stage:
                FinishedOrders(stage, key_length=KEY_LENGTH).fill(count, oldest=SINCE)
                index_bytes = int(stage.database.command("collStats", "orders")["indexSizes"][KEYS])
        finally:
            roomy.stop()
        small = Mongod(Path(directory), cache_gb=CACHE_GB)
        try:
            small.start()
            yield small, index_bytes
        finally:
            small.stop()
