"""Load from wrk, for `make bench`."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from uuid import uuid4

from tools.mongod import Mongod
from tools.stack import Service

# No two calls of unique() are alike, whichever of wrk's threads or runs makes them. BENCH_EXPECTED, if it is set, must be in
# each answer.
_UNIQUE = """
local threads, count = 0, 0
local expected = os.getenv("BENCH_EXPECTED")

function setup(thread)
  threads = threads + 1
  thread:set("number", threads)
end

function unique()
  count = count + 1
  return os.getenv("BENCH_RUN") .. "-" .. number .. "-" .. count
end

if expected then
  function response(status, headers, body)
    if not body:find(expected, 1, true) then
      print(status, body)
      os.exit(1)
    end
  end
end
"""


ORDERS_LUA = """
function request()
  local name = unique()
  wrk.headers["Idempotency-Key"] = name
  local body = '{"orderNumber":"' .. name .. '","amount":99.99,"currency":"USD","metadata":{"basket":"7"}}'
  return wrk.format("POST", "/api/orders", nil, body)
end
wrk.headers["Content-Type"] = "application/json"
"""


class LoadError(Exception):
    """Not every answer was the expected one; the message is what wrk said."""


def script(folder: Path, name: str, lua: str) -> Path:
    """A script for wrk, from Lua that defines `request()` and may call `unique()` in it."""
    path = folder / f"{name}.lua"
    path.write_text(_UNIQUE + lua)
    return path


def wrk(url: str, lua: Path, *, connections: int, seconds: int, **environment: str) -> float:
    """Requests a second that were answered with 2xx, and as BENCH_EXPECTED says. Raises LoadError if any was not."""
    variables = {**os.environ, "BENCH_RUN": uuid4().hex[:8], **environment}
    command: list[str | Path] = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", lua, url]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    if done.returncode != 0 or rate is None or "Non-2xx" in done.stdout:
        raise LoadError(f"not all answers were as expected\n{done.stdout}{done.stderr}")
    return float(rate[1])


def require_wrk() -> None:
    if shutil.which("wrk") is None:
        raise SystemExit("bench: wrk is missing\n  type: apt-get install wrk")


def cpu_seconds(service: Service | Mongod) -> float:
    """What the process has used so far (Linux only; elsewhere 0)."""
    assert service.process is not None
    stat = Path(f"/proc/{service.process.pid}/stat")
    if not stat.exists():
        return 0.0
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
