"""`python -m tests.e2e.fork_server MODULE`: starts a service as often as it is told to, without the seconds of CPU that
importing it takes.

The service is imported once and forked for each start; what runs is its own `main`, in a process of its own. Each line of
standard input is a JSON array that says what to do, and is answered by a line. At its end the processes that still run are
killed, so that none outlives the tests.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def main() -> None:
    serve = import_module(sys.argv[1]).main
    running: set[int] = set()
    for line in sys.stdin:
        answer: int | None
        match json.loads(line):
            case ["start", str(log_file), dict(environment)]:
                running.add(answer := _start(serve, log_file, environment))
            case ["status", int(process_id)]:
                if (answer := _status(process_id)) is not None:
                    running.remove(process_id)
            case other:
                raise AssertionError(other)
        sys.stdout.write(f"{json.dumps(answer)}\n")
        sys.stdout.flush()
    for process_id in running:
        os.kill(process_id, signal.SIGKILL)


def _start(serve: Callable[[], None], log_file: str, environment: Mapping[str, str]) -> int:
    """Its process id."""
    child = os.fork()
    if child == 0:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDONLY)
        log = os.open(log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        for given, number in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(given, number)
        os.environ.clear()
        os.environ.update(environment)
        serve()
        sys.exit(0)
    return child


def _status(process_id: int) -> int | None:
    """The exit status, negative for a signal; None while it runs."""
    ended, status = os.waitpid(process_id, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


if __name__ == "__main__":
    main()
