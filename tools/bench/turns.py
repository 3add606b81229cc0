"""Measures one turn: load for some seconds, and what each process spent on it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tools.bench.load import Load, wrk
from tools.mongod import Mongod
from tools.stack import Service

Processes = Mapping[str, Service | Mongod]


class Turn(NamedTuple):
    """`cpu_us` is microseconds of CPU a request, by process."""

    load: Load
    cpu_us: dict[str, float]


def turn(url: str, lua: Path, *, connections: int, seconds: int, processes: Processes, **environment: str) -> Turn:
    """Raises LoadError."""
    before = cpu_of(processes)
    load = wrk(url, lua, connections=connections, seconds=seconds, **environment)
    return Turn(load, {name: 1e6 * spent / load.requests for name, spent in since(before, processes).items()})


def cpu_of(processes: Processes) -> dict[str, float]:
    """Seconds of CPU that each process has used so far."""
    return {name: cpu_seconds(process) for name, process in processes.items()}


def since(before: Mapping[str, float], processes: Processes) -> dict[str, float]:
    """Seconds of CPU that each process has used since then."""
    return {name: spent - before[name] for name, spent in cpu_of(processes).items()}


def cpu_seconds(service: Service | Mongod) -> float:
    """Seconds of CPU that the process has used so far (Linux only; elsewhere 0)."""
    stat = _proc(service) / "stat"
    if not stat.exists():
        return 0.0
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(service: Service | Mongod) -> float:
    """MiB of memory that the process holds at present (Linux only; elsewhere 0)."""
    statm = _proc(service) / "statm"
    if not statm.exists():
        return 0.0
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def _proc(service: Service | Mongod) -> Path:
    assert service.process is not None
    return Path(f"/proc/{service.process.pid}")
