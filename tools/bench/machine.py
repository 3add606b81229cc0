"""Where and when the figures were measured."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from tools.mongod import mongod_version

LIBRARIES = ("litestar", "uvicorn", "pymongo", "aiohttp", "msgspec")
ROOT = Path(__file__).parents[2]


def machine() -> dict[str, str]:
    """Facts for people, by what they are about."""
    return {
        "commit": _commit(),
        "cores": str(os.cpu_count()),
        "CPU": _line_of(Path("/proc/cpuinfo"), "model name") or platform.processor() or "unknown",
        "memory": _memory(),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "Python": platform.python_version(),
        "MongoDB": mongod_version(),
        **{library: version(library) for library in LIBRARIES},
    }


def _commit() -> str:
    """The commit, and whether there were changes that are not in it."""
    git = ["git", "-C", str(ROOT)]
    commit = subprocess.run([*git, "rev-parse", "--short=10", "HEAD"], capture_output=True, text=True, check=False)
    if commit.returncode:
        return "unknown"
    changed = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=False).stdout
    return commit.stdout.strip() + (" and changes" if changed.strip() else "")


def _memory() -> str:
    kib = _line_of(Path("/proc/meminfo"), "MemTotal").removesuffix("kB").strip()
    return f"{int(kib) / 2**20:.0f} GiB" if kib else "unknown"


def _line_of(path: Path, name: str) -> str:
    """The value in the first line of `name` in a file of /proc; empty if there is none."""
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name), "")
