"""Whoever stops `make chaos` finds nothing left of it."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import until


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
async def test_no_process_outlives_a_run_that_is_told_to_stop(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tools.chaos", "--seed", "1", "--minutes", "1", "--orders", "100"]
    log = tmp_path / "log"
    run = started(command, log, TMPDIR=str(tmp_path))

    async def has_begun() -> bool:
        assert run.poll() is None, log.read_text()
        return "seed 1:" in log.read_text()

    async def has_ended() -> bool:
        return run.poll() is not None

    try:
        await until(has_begun, "the cluster is up", seconds=120)
        assert len(processes_of(tmp_path)) == 3 + 4
        run.send_signal(signal.SIGTERM)
        await until(has_ended, "it has stopped")
    finally:
        run.kill()
    assert run.returncode == 2
    assert processes_of(tmp_path) == []


def started(command: list[str], log: Path, **environment: str) -> "subprocess.Popen[bytes]":
    with log.open("wb") as output:
        return subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)


def processes_of(directory: Path) -> list[str]:
    """Those of the run: each has its log in the directory that the run has made."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            output = str((process / "fd" / "1").readlink())
        except OSError:  # ended meanwhile, or not ours
            continue
        if output.startswith(f"{directory}/chaos-"):
            found.append(f"{process.name} writes to {output}")
    return found
