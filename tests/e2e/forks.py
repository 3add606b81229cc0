"""Services that are forked from a process which has imported them: a start costs a tenth of the CPU."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tools import process
from tools.stack import COMMANDS

_MAINS = {"order_api": "order_api.serve", "payment_gateway": "payment_gateway.serve"}


class ForkServer:
    """One process that has imported `module`."""

    def __init__(self, module: str) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.fork_server", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def ask(self, *what: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(f"{json.dumps(what)}\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


class Forked:
    """One process of a service: as much of a Popen as there is use for."""

    def __init__(self, server: ForkServer, log_file: Path, environment: Mapping[str, str]) -> None:
        self._server = server
        self.pid: int = server.ask("start", str(log_file), dict(environment))
        self.returncode: int | None = None
        self._polling = threading.Lock()  # the server tells the end of a process once

    def poll(self) -> int | None:
        with self._polling:
            if self.returncode is None:
                self.returncode = self._server.ask("status", self.pid)
            return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                assert timeout is not None
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(0.01)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Forks:
    """`spawn` stands in for that of `tools.process`."""

    def __init__(self) -> None:
        self._servers: dict[str, ForkServer] = {}

    def spawn(
        self, command: Sequence[str | Path], *, log_file: Path | None, environment: Mapping[str, str] | None = None
    ) -> Any:
        modules = [module for module, words in COMMANDS.items() if (sys.executable, *words) == tuple(command)]
        if not modules or log_file is None or environment is None or _imports_otherwise(environment):
            return process.spawn(command, log_file=log_file, environment=environment)
        [module] = modules
        if module not in self._servers:
            self._servers[module] = ForkServer(_MAINS[module])
        return Forked(self._servers[module], log_file, environment)

    def close(self) -> None:
        for server in self._servers.values():
            server.close()


def _imports_otherwise(environment: Mapping[str, str]) -> bool:
    """Whether Python would not find there what it finds here."""
    return environment.get("PYTHONPATH") != os.environ.get("PYTHONPATH")
