"""`python -m tools.mutants --chaos`: runs `make chaos` on a mutated copy of the tree. It must convict the mutant."""

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

END_SECONDS = 900.0  # from the last fault to the verdict, of a world that does not come to rest
_VIOLATED = re.compile(r"^VIOLATED, [\d,]+ times: (\d+)\.", re.MULTILINE)
_COMPLAINT = re.compile(r"^VIOLATED: (.+)$", re.MULTILINE)
_KEPT = re.compile(r"logs and data are kept in ([^;\s]+)")


class Schedule(NamedTuple):
    seed: int
    minutes: float
    orders: int


class Trial(NamedTuple):
    """`convicted_by` names the invariants that are violated, by number, and the processes that ended by themselves."""

    status: int
    convicted_by: list[str]
    output: str

    @property
    def convicted(self) -> bool:
        return self.status == 1 and bool(self.convicted_by)


def run_chaos(tree: Path, environment: Mapping[str, str], schedule: Schedule) -> Trial:
    """Runs it on the code in `tree`. The logs and data of a run that convicts are deleted, those of another are kept."""
    options = ["--seed", str(schedule.seed), "--minutes", f"{schedule.minutes:g}", "--orders", str(schedule.orders)]
    try:
        run = subprocess.run(
            [sys.executable, "-m", "tools.chaos", *options],
            cwd=tree,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=schedule.minutes * 60 + END_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Trial(2, [], "it did not end")
    trial = verdict(run.returncode, run.stdout)
    if trial.convicted and (kept := _KEPT.search(run.stdout)):
        shutil.rmtree(kept[1], ignore_errors=True)
    return trial


def verdict(status: int, output: str) -> Trial:
    convicted_by = [f"invariant {number}" for number in _VIOLATED.findall(output)]
    return Trial(status, [*convicted_by, *_COMPLAINT.findall(output)], output)
