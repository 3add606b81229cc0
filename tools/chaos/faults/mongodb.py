"""What happens to the replica set."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from functools import partial
from random import Random
from typing import Any

from tools.chaos.cluster import MONGODS, SERVICES, Cluster
from tools.chaos.faults.fault import MEMBERSHIP, Fault, Kind
from tools.chaos.links import PARTITION

PRIMARY_WITHIN_SECONDS = 10.0
# What makes a change durable, by who makes it: a command of its own, or the end of a transaction.
_WRITES = ["insert", "update"]
_WRITE_CONCERN_ERROR = {"code": 91, "errmsg": "shutting down: injected"}  # after the commit was done


def step_down(draw: Random) -> Fault:
    return Fault("MongoDB: primary steps down", "", 0, MEMBERSHIP, _stepped_down)


def kill_primary(draw: Random) -> Fault:
    return Fault("MongoDB: kill -9 of the primary", "", draw.uniform(2, 8), MEMBERSHIP, _primary_killed)


def kill_secondary(draw: Random) -> Fault:
    inflict = partial(_secondary_killed, number=draw.randrange(len(MONGODS) - 1))
    return Fault("MongoDB: kill -9 of a secondary", "", draw.uniform(2, 8), MEMBERSHIP, inflict)


def pause_primary(draw: Random) -> Fault:
    return Fault("MongoDB: SIGSTOP of the primary", "", draw.uniform(3, 12), MEMBERSHIP, _primary_paused)


def kill_all(draw: Random) -> Fault:
    return Fault("MongoDB: kill -9 of all members", "", draw.uniform(1, 4), MEMBERSHIP, _all_killed)


def cut_off_primary(draw: Random) -> Fault:
    """From the other members only: clients still reach it, and for a while it takes itself for the primary."""
    return Fault("MongoDB: primary cut off from members", "", draw.uniform(4, 10), MEMBERSHIP, _cut_off_from_members)


def cut_off_member(draw: Random) -> Fault:
    """From everybody, whatever it is just then."""
    name = draw.choice(MONGODS)
    inflict = partial(_cut_off, targets=(name,), sources=(*MONGODS, *SERVICES))
    return Fault("MongoDB: member cut off from all", name, draw.uniform(4, 10), MEMBERSHIP, inflict)


def cut_off_service(draw: Random) -> Fault:
    name = draw.choice(SERVICES)
    inflict = partial(_cut_off, targets=MONGODS, sources=(name,))
    return Fault("MongoDB: cut off from a service", name, draw.uniform(3, 10), frozenset(), inflict)


def spoil_writes(draw: Random) -> Fault:
    """Done, and said not to be known."""
    return _failing("MongoDB: writes done and not confirmed", draw, {"writeConcernError": _WRITE_CONCERN_ERROR})


def drop_writes(draw: Random) -> Fault:
    """Not done, and the connection closed, which looks the same."""
    return _failing("MongoDB: connection closed on a write", draw, {"closeConnection": True})


def stall_commands(draw: Random) -> Fault:
    slow = ["commitTransaction", "insert", "update", "findAndModify", "bulkWrite"]
    how = {"blockConnection": True, "blockTimeMS": draw.choice((200, 1000, 3000)), "failCommands": slow}
    return _failing("MongoDB: slow to answer", draw, how)


KINDS: tuple[Kind, ...] = (
    step_down,
    kill_primary,
    kill_secondary,
    pause_primary,
    kill_all,
    cut_off_primary,
    cut_off_member,
    cut_off_service,
    spoil_writes,
    drop_writes,
    stall_commands,
)


def _failing(name: str, draw: Random, how: dict[str, Any]) -> Fault:
    """Of one service only: failCommand tells them apart by the name that they give."""
    service, share = draw.choice(("order_api", "payment_gateway")), draw.choice((0.1, 0.3, 0.6))
    seconds = draw.uniform(3, 10)
    data = {"appName": service, "failCommands": _WRITES, **how}
    inflict = partial(_failing_commands, share=share, data=data)
    return Fault(name, f"{share:.0%} of {service}'s", seconds, frozenset({"failCommand"}), inflict)


async def _primary_of(cluster: Cluster) -> str:
    """Raises MongodError if there is none."""
    primary = await asyncio.to_thread(cluster.replica_set.wait_for_primary, PRIMARY_WITHIN_SECONDS)
    return next(name for name, member in cluster.members.items() if member is primary)


@asynccontextmanager
async def _stepped_down(cluster: Cluster) -> AsyncIterator[None]:
    await asyncio.to_thread(cluster.replica_set.step_down)
    yield


@asynccontextmanager
async def _primary_killed(cluster: Cluster) -> AsyncIterator[None]:
    async with _killed(cluster, [await _primary_of(cluster)]):
        yield


@asynccontextmanager
async def _secondary_killed(cluster: Cluster, *, number: int) -> AsyncIterator[None]:
    primary = await _primary_of(cluster)
    async with _killed(cluster, [[name for name in MONGODS if name != primary][number]]):
        yield


@asynccontextmanager
async def _all_killed(cluster: Cluster) -> AsyncIterator[None]:
    async with _killed(cluster, MONGODS):
        yield


@asynccontextmanager
async def _killed(cluster: Cluster, names: Iterable[str]) -> AsyncIterator[None]:
    for name in names:
        cluster.keeper.kill(name)
    try:
        yield
    finally:
        for name in names:
            cluster.keeper.start(name)


@asynccontextmanager
async def _primary_paused(cluster: Cluster) -> AsyncIterator[None]:
    name = await _primary_of(cluster)
    cluster.keeper.pause(name)
    try:
        yield
    finally:
        cluster.keeper.resume(name)


@asynccontextmanager
async def _cut_off_from_members(cluster: Cluster) -> AsyncIterator[None]:
    primary = await _primary_of(cluster)
    others = [name for name in MONGODS if name != primary]
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(_cut_off(cluster, targets=(primary,), sources=others))
        await stack.enter_async_context(_cut_off(cluster, targets=others, sources=(primary,)))
        yield


@asynccontextmanager
async def _cut_off(cluster: Cluster, *, targets: Iterable[str], sources: Iterable[str]) -> AsyncIterator[None]:
    """What a member has with itself stays whole."""
    with ExitStack() as stack:
        for target in targets:
            for source in sources:
                if source != target:
                    stack.enter_context(cluster.link(source, target).troubled(PARTITION))
        yield


@asynccontextmanager
async def _failing_commands(cluster: Cluster, *, share: float, data: dict[str, Any]) -> AsyncIterator[None]:
    try:
        await asyncio.to_thread(cluster.set_failpoint, {"activationProbability": share}, data)
        yield
    finally:
        await asyncio.to_thread(cluster.clear_failpoint)
