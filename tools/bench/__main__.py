"""`python -m tools.bench [part …] [--out FILE]` is `make bench`; `--page` renews docs/performance.md from its JSON instead.

Rates depend on the machine, which others may use too: look at the ratios, which are of what ran in turns of one run.
BENCH_SECONDS is how long a turn takes, BENCH_ROUNDS how many there are, BENCH_STORED how many orders `growth` and `cache`
store. Needs wrk.
"""

import argparse
import os
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from pymongo.errors import PyMongoError

from shared.times import utc_now
from tools.bench import (
    against,
    answers,
    backlog,
    cache,
    console,
    gateway,
    growth,
    intake,
    paid,
    user,
    watching,
)
from tools.bench.figures import Figure, Part, Results, as_json
from tools.bench.load import LoadError, require_wrk
from tools.bench.machine import machine
from tools.bench.report import renew_page, summary, table
from tools.bench.stage import Run
from tools.mongod import MongodError
from tools.stack import DATA, ServiceError, exit_on_sigterm, set_aside

BENCH_SECONDS = int(os.environ.get("BENCH_SECONDS", "4"))
BENCH_ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
BENCH_STORED = int(os.environ.get("BENCH_STORED", "1000000"))

PARTS: dict[Part, Callable[[Run], list[Figure]]] = {
    "intake": intake.measure,
    "answers": answers.measure,
    "paid": paid.measure,
    "growth": growth.measure,
    "backlog": backlog.measure,
    "cache": cache.measure,
    "gateway": gateway.measure,
    "user": user.measure,
    "watching": watching.measure,
    "console": console.measure,
    "against": against.measure,
}
ONLY_WHEN_NAMED = ("console", "against")


def main() -> None:
    asked = _arguments()
    if asked.page:
        renew_page()
        return
    exit_on_sigterm()
    require_wrk()
    if unused := set_aside():
        print(unused, flush=True)
    results = measure(asked.parts or [part for part in PARTS if part not in ONLY_WHEN_NAMED])
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_bytes(as_json(results))
    print(f"\n{table(results)}\n\n{summary(results)}\nresults: {asked.out}", flush=True)
    if results.failed:
        raise SystemExit(1)


def measure(parts: list[Part]) -> Results:
    """Runs the parts one after the other. One that fails is named in the results, and the others run all the same."""
    figures: dict[Part, tuple[Figure, ...]] = {}
    took_seconds: dict[Part, int] = {}
    failed: list[Part] = []
    for part in parts:
        began = time.monotonic()
        print(f"{part} …", flush=True)
        try:
            with tempfile.TemporaryDirectory(prefix="bench-") as folder:
                run = Run(Path(folder), BENCH_SECONDS, BENCH_ROUNDS, BENCH_STORED)
                figures[part] = tuple(PARTS[part](run))
        except (LoadError, ServiceError, MongodError) as error:
            print(f"  not measured: {error}", flush=True)
            failed.append(part)
        except (PyMongoError, OSError):
            traceback.print_exc()
            failed.append(part)
        took_seconds[part] = round(time.monotonic() - began)
        for one in figures.get(part, ()):
            if one.goal:
                print(f"  {one.name}: {one.median:g} ({one.goal})", flush=True)
    return Results(
        at=utc_now(),
        machine=machine(),
        settings={"seconds": BENCH_SECONDS, "rounds": BENCH_ROUNDS, "stored": BENCH_STORED},
        took_seconds=took_seconds,
        failed=tuple(failed),
        figures=figures,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(PARTS))
    parser.add_argument("--out", type=Path, default=DATA / "bench" / "results.json", help="where the results go")
    parser.add_argument("--page", action="store_true", help="renew the page of the docs from its results")
    asked = parser.parse_args()
    if unknown := [part for part in asked.parts if part not in PARTS]:
        parser.error(f"no part is named {unknown[0]}; there are {', '.join(PARTS)}")
    return asked


if __name__ == "__main__":
    main()
