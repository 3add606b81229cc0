"""What a fault is."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from tools.chaos.cluster import Cluster

# Of three members, two must be able to speak, so that only one thing at a time happens to them.
MEMBERSHIP = frozenset({"mongodb"})


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong. `inflict` is entered to start it and left to end it. Where it cannot be, as the end of a
    primary where there is none, it raises what the database or the connection does. No two faults that hold the same part
    of the world are on at one time.
    """

    name: str  # what the report counts it as
    detail: str  # which process, which link
    seconds: float  # how long it is on
    holds: frozenset[str]
    inflict: Callable[[Cluster], AbstractAsyncContextManager[None]]


Kind: TypeAlias = Callable[[Random], Fault]  # draws where, how long and how hard
