"""What happens to the processes of the services."""

import asyncio
import platform
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random

from tools.chaos.cluster import GATEWAYS, ORDER_APIS, SERVICES, Cluster
from tools.chaos.faults.fault import Fault, Kind

LEASE_SECONDS = 45.0  # of the dispatcher, the longest of all
SKEW_SECONDS = 120
ONE_LEASE_AT_A_TIME = "a process that outsleeps its lease"


def kill_service(draw: Random) -> Fault:
    name = draw.choice(SERVICES)
    return Fault("kill -9 of a service", name, draw.uniform(0.2, 5), frozenset({name}), partial(_killed, names=(name,)))


def kill_all_order_apis(draw: Random) -> Fault:
    return _all_killed("kill -9 of every order_api", draw, ORDER_APIS)


def kill_all_gateways(draw: Random) -> Fault:
    return _all_killed("kill -9 of every gateway", draw, GATEWAYS)


def pause_service(draw: Random) -> Fault:
    name = draw.choice(SERVICES)
    return Fault("SIGSTOP of a service", name, draw.uniform(2, 10), frozenset({name}), partial(_paused, name=name))


def outsleep_the_lease(draw: Random) -> Fault:
    """It wakes up believing that it still holds what others have done meanwhile."""
    name = draw.choice((*ORDER_APIS, *ORDER_APIS, *GATEWAYS))
    holds = frozenset({name, ONE_LEASE_AT_A_TIME})
    return Fault("SIGSTOP beyond the lease", name, LEASE_SECONDS + 5, holds, partial(_paused, name=name))


def restart_all(draw: Random) -> Fault:
    order = tuple(draw.sample(SERVICES, len(SERVICES)))
    return Fault("rolling restart by SIGTERM", " ".join(order), 20, frozenset(SERVICES), partial(_rolling, names=order))


def skew_clock(draw: Random) -> Fault:
    name, seconds = draw.choice(SERVICES), draw.choice((SKEW_SECONDS, -SKEW_SECONDS))
    inflict = partial(_skewed, name=name, seconds=seconds)
    return Fault("clock two minutes off", f"{name} {seconds:+d} s", draw.uniform(8, 20), frozenset({name}), inflict)


def libfaketime() -> Path | None:
    """Debian's, in its variant for threads."""
    return next(Path("/usr/lib").glob(f"{platform.machine()}-*/faketime/libfaketimeMT.so.1"), None)


KINDS: tuple[Kind, ...] = (
    kill_service,
    kill_all_order_apis,
    kill_all_gateways,
    pause_service,
    outsleep_the_lease,
    restart_all,
    skew_clock,
)


def _all_killed(name: str, draw: Random, victims: tuple[str, ...]) -> Fault:
    return Fault(name, "both", draw.uniform(0.2, 2), frozenset(victims), partial(_killed, names=victims))


@asynccontextmanager
async def _killed(cluster: Cluster, *, names: tuple[str, ...]) -> AsyncIterator[None]:
    for name in names:
        cluster.keeper.kill(name)
    try:
        yield
    finally:
        for name in names:
            cluster.keeper.start(name)


@asynccontextmanager
async def _paused(cluster: Cluster, *, name: str) -> AsyncIterator[None]:
    cluster.keeper.pause(name)
    try:
        yield
    finally:
        cluster.keeper.resume(name)


@asynccontextmanager
async def _rolling(cluster: Cluster, *, names: tuple[str, ...]) -> AsyncIterator[None]:
    await roll(cluster, names)
    yield


async def roll(cluster: Cluster, names: Sequence[str], **settings: str) -> None:
    """Restarts each, once the one before it serves again, with `settings` from now on. Raises ServiceError."""
    for name in names:
        cluster.services[name].configure(**settings)
        await _restart(cluster, name)
        await cluster.keeper.wait_until_ready(name)


@asynccontextmanager
async def _skewed(cluster: Cluster, *, name: str, seconds: int) -> AsyncIterator[None]:
    """Of the time of day only: the monotonic clock, by which timeouts run, does not jump in reality either."""
    if not (library := libfaketime()):
        raise FileNotFoundError("libfaketime is not installed")
    preload = {"LD_PRELOAD": str(library), "FAKETIME": f"{seconds:+d}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    await _restart(cluster, name, **preload)
    skewed = {pid for pid, one in cluster.keeper.names.items() if one == name}
    try:
        yield
    finally:
        await _restart(cluster, name)
        _tidy_up_after(skewed)


def _tidy_up_after(skewed: set[int]) -> None:
    """libfaketime leaves its shared memory behind."""
    for pid in skewed:
        for left_behind in Path("/dev/shm").glob(f"*faketime_*_{pid}"):
            left_behind.unlink(missing_ok=True)


async def _restart(cluster: Cluster, name: str, **environment: str) -> None:
    try:
        await cluster.keeper.terminate(name)
    finally:  # when all is called off, too
        await asyncio.shield(_start(cluster, name, **environment))


async def _start(cluster: Cluster, name: str, **environment: str) -> None:
    cluster.keeper.start(name, **environment)
