"""The other requests that order_api gets, beside placing an order: a replay, a read, a list, a signed webhook."""

from tools.bench.figures import Figure, at_least, by_process, figure, ratio
from tools.bench.intake import rates
from tools.bench.requests import Caller, post_bare
from tools.bench.stage import Run, Stage, bare
from tools.bench.turns import Turn
from tools.mongod import temporary_mongod

KINDS = ("place", "replay", "read", "list", "webhook")
GOALS = {"replay": at_least(1), "read": at_least(1), "webhook": at_least(0.5)}


def measure(run: Run) -> list[Figure]:
    """Raises LoadError, ServiceError and MongodError."""
    ceiling: list[Turn] = []
    turns: dict[str, list[Turn]] = {kind: [] for kind in KINDS}
    with (
        temporary_mongod() as mongod,
        bare(run.folder) as floor,
        Stage(mongod, run.folder, "answers").running() as stage,
    ):
        caller = Caller(stage, run.seconds)
        caller.warm_up()
        for _ in range(run.rounds):
            ceiling.append(post_bare(floor, run.folder, run.seconds))
            for kind in KINDS:
                turns[kind].append(getattr(caller, kind)())
    placed = rates(turns["place"])
    return [
        *(ratio(f"{kind}, beside placing", rates(turns[kind]), placed, goal=GOALS.get(kind)) for kind in KINDS[1:]),
        *(ratio(f"{kind}, beside the ceiling", rates(turns[kind]), rates(ceiling)) for kind in KINDS),
        *(figure(f"{kind}: rate", "/s", *rates(turns[kind])) for kind in KINDS),
        *(one for kind in KINDS for one in by_process(f"{kind}: CPU", "µs", [turn.cpu_us for turn in turns[kind]])),
    ]
