"""Child processes that never outlive us: stopped when we end well, and on Linux when we end badly too."""

import atexit
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

STOP_SECONDS = 30

# Asks the kernel for a signal when the parent dies, then becomes the program: the process id stays the same.
# Between fork and prctl the parent may have died already; then the new parent is another.
_LEASHED = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() != int(sys.argv[1]): sys.exit(1)
os.execvpe(sys.argv[2], sys.argv[2:], os.environ)
"""


def spawn(
    command: Sequence[str | Path], *, log_file: Path | None, environment: Mapping[str, str] | None = None
) -> "subprocess.Popen[bytes]":
    """Starts `command` in a session of its own, so that a Ctrl-C reaches us first. Its output goes to `log_file`, or
    where ours goes.

    On Linux it gets SIGTERM when the calling thread ends, however it ends; elsewhere `kill -9` of us leaves it running.
    """
    words = [str(word) for word in command]
    if sys.platform == "linux":
        import os  # noqa: PLC0415

        words = [sys.executable, "-c", _LEASHED, str(os.getpid()), *words]
    output = log_file.open("ab") if log_file else None
    try:
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
            env=dict(environment) if environment is not None else None,
            start_new_session=True,
        )
    finally:
        if output:
            output.close()


def stop(process: "subprocess.Popen[bytes]") -> int:
    """Stops a process with SIGTERM, or with SIGKILL if it does not end within STOP_SECONDS. Returns its exit status."""
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)  # a stopped process would not hear the next one
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


_handed_out: dict[int, socket.socket] = {}


def free_port() -> int:
    """Reserves a port on 127.0.0.1 for a server that we start, until we end. On Linux a socket that is bound to it and never
    listens keeps it for servers, which bind with SO_REUSEADDR.
    """
    while True:
        probe = socket.socket()
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        if sys.platform != "linux":
            probe.close()
        if port not in _handed_out:
            _handed_out[port] = probe
            return port


@atexit.register
def _hand_back() -> None:
    for probe in _handed_out.values():
        probe.close()


def tail(path: Path, lines: int = 12) -> str:
    """The last lines of a log, to show why something did not start."""
    found = path.read_text(errors="replace").splitlines()[-lines:] if path.exists() else []
    return "\n".join(line[:400] for line in found)
