"""Orders to Paid: as many as possible, at a constant rate, and one by one, each beside what a machine can do at all."""

import time
from uuid import uuid4

from pymongo import WriteConcern

from tools.bench.figures import Figure, at_least, at_most, by_process, figure, percentile, ratio
from tools.bench.intake import rates
from tools.bench.load import LoadError
from tools.bench.pace import place_at_pace
from tools.bench.paying import Paid, pay, place, wait_until_paid
from tools.bench.requests import post_bare
from tools.bench.stage import TEXTBOOK, Run, Stage, bare
from tools.bench.turns import Turn, cpu_of, since
from tools.mongod import temporary_mongod

PACE = 100  # orders a second
PACED_SECONDS = 10
ONE_BY_ONE = 100
PAUSE_SECONDS = 0.02  # between two orders that are placed one by one
PAID_SECONDS = 10.0


def measure(run: Run) -> list[Figure]:
    """Raises LoadError, ServiceError and MongodError."""
    ceiling: list[Turn] = []
    ours: list[Paid] = []
    theirs: list[Paid] = []
    with temporary_mongod() as mongod, Stage(mongod, run.folder, "paid").running(with_gateway=True) as stage:
        with (
            bare(run.folder) as floor,
            Stage(mongod, run.folder, "paid_textbook", module=TEXTBOOK).running(with_gateway=True) as textbook,
        ):
            pay(stage, 1)
            pay(textbook, 1)
            for _ in range(run.rounds):
                ceiling.append(post_bare(floor, run.folder, run.seconds))
                ours.append(pay(stage, run.seconds))
                theirs.append(pay(textbook, run.seconds))
        # The textbook polls even when it is idle: it keeps a tenth of two cores busy, which would not be low load.
        paced = [_paced(stage) for _ in range(run.rounds)]
        one_by_one = _one_by_one(stage)
    posted = [turn.cpu_us["bare"] for turn in ceiling]
    totals, totals_by_hand = [paid.cpu_us_of_all for paid in ours], [paid.cpu_us_of_all for paid in theirs]
    return [
        ratio("CPU a paid order, in bare POSTs", totals, posted, goal=at_most(38)),
        ratio("rate, beside the textbook", [one.rate for one in ours], [one.rate for one in theirs], goal=at_least(12)),
        *one_by_one,
        ratio("rate, beside the ceiling", [one.rate for one in ours], rates(ceiling)),
        ratio("rate of the textbook, beside the ceiling", [one.rate for one in theirs], rates(ceiling)),
        ratio(f"CPU at {PACE}/s, in bare POSTs", [sum(cpu.values()) for cpu in paced], posted),
        ratio("CPU by hand, in bare POSTs", totals_by_hand, posted),
        figure("rate", "/s", *(paid.rate for paid in ours)),
        figure("rate of the textbook", "/s", *(paid.rate for paid in theirs)),
        figure("CPU of a bare POST", "µs", *posted),
        *by_process("CPU a paid order", "µs", [paid.cpu_us for paid in ours]),
        *by_process(f"CPU a paid order at {PACE}/s", "µs", paced),
        *by_process("CPU a paid order by hand", "µs", [paid.cpu_us for paid in theirs]),
    ]


def _paced(stage: Stage) -> dict[str, float]:
    """Microseconds of CPU a paid order, by process, at PACE."""
    before = cpu_of(stage.processes)
    orders = len(place_at_pace(stage.service.url, per_second=PACE, seconds=PACED_SECONDS))
    wait_until_paid(stage.orders)
    return {name: 1e6 * spent / orders for name, spent in since(before, stage.processes).items()}


def _one_by_one(stage: Stage) -> list[Figure]:
    """Measures from POST to Paid, as a reader of the database sees it. In turn with it, measures one write of one small
    document that is journaled on a majority.
    """
    scratch = stage.database.get_collection("bench_scratch", write_concern=WriteConcern("majority", j=True))
    written, paid = [], []
    becomes_paid = [{"$match": {"updateDescription.updatedFields.status": "Paid"}}]
    with stage.orders.watch(becomes_paid, max_await_time_ms=1000) as changes:
        for _ in range(ONE_BY_ONE):
            began = time.perf_counter()
            scratch.insert_one({"at": began})
            written.append(1000 * (time.perf_counter() - began))
            time.sleep(PAUSE_SECONDS)
            began = time.perf_counter()
            order_id = place(stage.service.url, uuid4().hex, uuid4().hex)
            while (change := changes.try_next()) is None or change["documentKey"]["_id"] != order_id:
                if time.perf_counter() > began + PAID_SECONDS:
                    raise LoadError(f"an order is not Paid after {PAID_SECONDS:.0f} s")
            paid.append(1000 * (time.perf_counter() - began))
            time.sleep(PAUSE_SECONDS)
    write, p50 = percentile(written, 50), percentile(paid, 50)
    return [
        figure("POST to Paid, p50, in journaled writes", "times", p50 / write, goal=at_most(12)),
        figure("POST to Paid, p50", "ms", p50),
        figure("POST to Paid, p99", "ms", percentile(paid, 99)),
        figure("a journaled majority write, p50", "ms", write),
    ]
