"""`make chaos`: starts the world, uses and breaks it at once, heals it, lets it come to rest, and judges it.

Exit status 0: every invariant held. 1: one did not, or the world did not come to rest. 2: the run could not be made, or too
little happened in it to prove anything. Unless it is 0 the data and logs are kept.
"""

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import uvloop
from aiohttp import ClientError
from pymongo.errors import PyMongoError

from tools.chaos.afterwards import place_afterwards
from tools.chaos.checker import check, too_little
from tools.chaos.clients import Workload
from tools.chaos.cluster import Cluster
from tools.chaos.evidence import Watcher, collect
from tools.chaos.faults.processes import libfaketime
from tools.chaos.nemesis import Nemesis
from tools.chaos.pauses import pauses
from tools.chaos.report import show
from tools.chaos.rest import still_open
from tools.chaos.settle import sweep, wait_until_quiet
from tools.mongod import MongodError, scratch
from tools.stack import ServiceError, set_aside

AFTERWARDS_SECONDS = 120.0  # how long the clients may take to end what they have begun
QUIET_SECONDS = 180.0
QUIET_AGAIN_SECONDS = 60.0  # for what the sweep has found, and for the few orders that are placed afterwards
_STUCK = (MongodError, ServiceError, PyMongoError, ClientError, OSError, TimeoutError)


def main() -> None:
    options = _options()
    directory = Path(tempfile.mkdtemp(prefix="chaos-", dir=scratch()))
    status = 2
    try:
        status = uvloop.run(_run_until_told_to_stop(options, directory))
    except (MongodError, ServiceError, PyMongoError, TimeoutError) as error:
        print(f"the run could not be made: {error}", file=sys.stderr)
    finally:
        if status == 0:
            shutil.rmtree(directory, ignore_errors=True)
        else:
            print(f"logs and data are kept in {directory}; the same schedule again:\n  {_command(options)}", flush=True)
    raise SystemExit(status)


def _command(options: argparse.Namespace) -> str:
    return f"make chaos SEED={options.seed} MINUTES={options.minutes:g} ORDERS={options.orders}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of everything that is drawn")
    parser.add_argument("--minutes", type=float, default=5.0, help="for which the world is broken")
    parser.add_argument("--orders", type=int, default=2000, help="placed meanwhile")
    return parser.parse_args()


async def _run_until_told_to_stop(options: argparse.Namespace, directory: Path) -> int:
    """Makes Ctrl-C and SIGTERM unwind, so that no process is left behind."""
    run = asyncio.ensure_future(_run(options, directory))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, run.cancel)
    try:
        return await run
    except asyncio.CancelledError:
        print("\nstopped", file=sys.stderr)
        return 2


async def _run(options: argparse.Namespace, directory: Path) -> int:
    seconds, seed = options.minutes * 60, options.seed
    if unused := set_aside():
        _say(unused)
    if not libfaketime():
        _say("libfaketime is not installed, so no clock is skewed")
    async with Cluster(directory, seed=seed) as cluster:
        _say(f"seed {seed}: {options.orders} orders in {seconds:.0f} s; nemesis.log in {directory} tells what happens")
        watcher, nemesis = Watcher(cluster.world), Nemesis(cluster, seed=seed, seconds=seconds)
        workload = Workload(
            cluster.world,
            seed=seed,
            orders=options.orders,
            seconds=seconds,
            history_file=directory / "history.jsonl",
        )
        watching = asyncio.create_task(watcher.run())
        began_at = time.time()
        try:
            with suppress(TimeoutError):  # the judge sees what never ended
                async with asyncio.timeout(seconds + AFTERWARDS_SECONDS):
                    await asyncio.gather(workload.run(), nemesis.run())
            _say("healing")
            stuck = await _heal(nemesis)
            await _come_to_rest(cluster, QUIET_SECONDS)
            stuck += await sweep(cluster, since=began_at)
            await _come_to_rest(cluster, QUIET_AGAIN_SECONDS)
            await place_afterwards(cluster.world, workload.history, seed=seed)
            stuck += await _come_to_rest(cluster, QUIET_AGAIN_SECONDS)
            _say("judging" if not stuck else f"{len(stuck)} things do not come to rest; judging")
            evidence = await collect(cluster.world, workload.history, watcher, cluster.memory, stuck)
            evidence.transactions = await asyncio.to_thread(lambda: cluster.replica_set.transactions)
        finally:
            await nemesis.stop()
            await _end(watching)
        complaints = cluster.keeper.complaints
        log = directory / "nemesis.log"
        noted = log.read_text() if log.exists() else ""  # there is none if the run was too short to plan anything
        evidence.pauses = pauses(noted, began_at=began_at, names=list(cluster.services))
    violations = check(evidence)
    injected = nemesis.injected
    reasons = list(too_little(evidence, injected=injected.total(), planned=len(nemesis.plan)))
    print(show(evidence, violations, injected, seed=seed))
    _complain("VIOLATED", complaints)
    _complain("PROVES NOTHING", reasons)
    if violations or complaints:
        return 1
    return 2 if reasons else 0


async def _heal(nemesis: Nemesis) -> list[str]:
    """Heals the world, and returns what does not recover. From here on that is a verdict on the services, not on the run."""
    try:
        await nemesis.heal()
    except _STUCK as error:
        return [f"it does not recover: {type(error).__name__} {error}"]
    return []


async def _come_to_rest(cluster: Cluster, seconds: float) -> list[str]:
    return await wait_until_quiet(cluster, lambda: still_open(cluster.world), seconds=seconds)


async def _end(task: asyncio.Task[None]) -> None:
    """Cancels until it has ended: PyMongo sometimes takes a cancellation for an error of the connection, and goes on."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=1)


def _complain(verdict: str, complaints: Iterable[str]) -> None:
    for complaint in complaints:
        print(f"{verdict}: {complaint}")


_started = time.monotonic()


def _say(text: str) -> None:
    print(f"{time.monotonic() - _started:5.0f} s  {text}", flush=True)


if __name__ == "__main__":
    main()
