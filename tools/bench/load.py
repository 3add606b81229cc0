"""Load from wrk: as many requests as the connections take."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

# unique() makes a random key and an order number that counts, as a client does for each order. The same BENCH_RUN makes
# the same ones again; after BENCH_KNOWN of them, if that is set, it starts anew. wrk calls request() once without sending.
# The last line is for us: requests, microseconds, the percentiles of the latency in microseconds, and errors.
_COMMON = """
local run, known = os.getenv("BENCH_RUN"), tonumber(os.getenv("BENCH_KNOWN"))
local count

local function start()
  math.randomseed(tonumber(run, 16))
  count = 0
end

local function following()
  local part = function() return math.random(0, 0xfffffff) end
  count = count + 1
  return string.format("%07x%07x%07x%07x", part(), part(), part(), part()), string.format("N-%s-%09d", run, count)
end

function unique()
  if known and count == known then
    start()
    following()
  end
  return following()
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format("done %d %d %d %d %d\\n", summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(99), errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end

start()
"""
_DONE = re.compile(r"^done (\d+) (\d+) (\d+) (\d+) (\d+)$", re.MULTILINE)
TIMEOUT_SECONDS = 20


class LoadError(Exception):
    """Not every answer was the expected one, or something else did not go as it must for a figure to mean anything."""


class Load(NamedTuple):
    """The result of a load. Every answer was 2xx."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def script(folder: Path, name: str, lua: str) -> Path:
    """A script for wrk, from Lua that defines `request()` and may call `unique()` in it."""
    path = folder / f"{name}.lua"
    path.write_text(_COMMON + lua)
    return path


def wrk(url: str, lua: Path, *, connections: int, seconds: int, **environment: str) -> Load:
    """Raises LoadError if any answer was not as expected, or if there was none."""
    variables = {**os.environ, "BENCH_RUN": new_run(), **environment}
    options = ["-t1", f"-c{connections}", f"-d{seconds}s", f"--timeout={TIMEOUT_SECONDS}s"]
    command: list[str | Path] = ["wrk", *options, "-s", lua, url]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)
    if run.returncode != 0 or not (found := _DONE.search(run.stdout)):
        raise LoadError(f"wrk ended with {run.returncode}\n{run.stdout}{run.stderr}")
    requests, microseconds, p50, p99, errors = map(int, found.groups())
    if not requests:
        raise LoadError(f"nothing was answered in {seconds} s\n{run.stdout}")
    if errors:
        raise LoadError(f"{errors} of {requests} answers were not as expected\n{run.stdout}{run.stderr}")
    return Load(requests, microseconds / 1e6, p50 / 1000, p99 / 1000)


def new_run() -> str:
    """A BENCH_RUN that no other run has."""
    return uuid4().hex[:8]


def require_wrk() -> None:
    if shutil.which("wrk") is None:
        raise SystemExit("bench: wrk is missing\n  type: apt-get install wrk")
