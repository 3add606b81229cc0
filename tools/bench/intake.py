"""Placing orders, with the gateway unreachable: beside the ceiling, and beside the same service written by hand."""

from tools.bench.figures import Figure, at_least, at_most, by_process, figure, ratio
from tools.bench.requests import Caller, post_bare
from tools.bench.stage import CONNECTIONS, TEXTBOOK, Run, Stage, bare
from tools.bench.turns import Turn
from tools.mongod import temporary_mongod

OURS = (1, 16, CONNECTIONS, 256)
THEIRS = (1, CONNECTIONS)


def measure(run: Run) -> list[Figure]:
    """Raises LoadError, ServiceError and MongodError."""
    ceiling: list[Turn] = []
    ours: dict[int, list[Turn]] = {connections: [] for connections in OURS}
    theirs: dict[int, list[Turn]] = {connections: [] for connections in THEIRS}
    with (
        temporary_mongod() as mongod,
        bare(run.folder) as floor,
        Stage(mongod, run.folder, "intake").running() as stage,
        Stage(mongod, run.folder, "intake_textbook", module=TEXTBOOK).running() as textbook,
    ):
        place, by_hand = Caller(stage, run.seconds), Caller(textbook, run.seconds)
        place.warm_up()
        by_hand.warm_up()
        for _ in range(run.rounds):
            ceiling.append(post_bare(floor, run.folder, run.seconds))
            for connections in OURS:
                ours[connections].append(place.place(connections))
                if connections in theirs:
                    theirs[connections].append(by_hand.place(connections))
    return [*_compared(ceiling, ours, theirs), *_plain(ceiling, ours, theirs)]


def _compared(ceiling: list[Turn], ours: dict[int, list[Turn]], theirs: dict[int, list[Turn]]) -> list[Figure]:
    busy, busy_by_hand = ours[CONNECTIONS], theirs[CONNECTIONS]
    return [
        ratio("rate, beside the ceiling", rates(busy), rates(ceiling), goal=at_least(0.35)),
        ratio("rate, beside the textbook", rates(busy), rates(busy_by_hand), goal=at_least(8)),
        ratio("rate of the textbook, beside the ceiling", rates(busy_by_hand), rates(ceiling)),
        ratio(
            "p99, beside the textbook's p50",
            [turn.load.p99_ms for turn in busy],
            [turn.load.p50_ms for turn in busy_by_hand],
            goal=at_most(1),
        ),
        ratio(
            "a lone caller's p50, beside the textbook's",
            [turn.load.p50_ms for turn in ours[1]],
            [turn.load.p50_ms for turn in theirs[1]],
            goal=at_most(0.6),
        ),
    ]


def _plain(ceiling: list[Turn], ours: dict[int, list[Turn]], theirs: dict[int, list[Turn]]) -> list[Figure]:
    figures = [
        figure(f"ceiling, {CONNECTIONS} connections: rate", "/s", *rates(ceiling)),
        *by_process("ceiling: CPU a POST", "µs", [turn.cpu_us for turn in ceiling]),
    ]
    for who, turns in (("placed", ours), ("textbook", theirs)):
        for connections, taken in turns.items():
            name = f"{who}, {connections} connection{'s' if connections > 1 else ''}"
            figures += [
                figure(f"{name}: rate", "/s", *rates(taken)),
                figure(f"{name}: p50", "ms", *(turn.load.p50_ms for turn in taken)),
                figure(f"{name}: p99", "ms", *(turn.load.p99_ms for turn in taken)),
                *by_process(f"{name}: CPU an order", "µs", [turn.cpu_us for turn in taken]),
            ]
    return figures


def rates(turns: list[Turn]) -> list[float]:
    return [turn.load.rate for turn in turns]
