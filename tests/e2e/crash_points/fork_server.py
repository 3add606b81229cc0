"""`python -m tests.e2e.crash_points.fork_server MODULE`: starts a service as often as it is told to, without the second or
two of CPU that importing it takes.

The service is imported once and forked for each start; what runs is its own `main`, in a process of its own. Standard input
says `start` or `kill`, each of which is answered by a line. When it ends the service is killed, so that it does not outlive
the tests.
"""

import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module


def main() -> None:
    serve = import_module(sys.argv[1]).main
    child = 0
    for command in sys.stdin:
        if command == "start\n":
            child = _start(serve)
        else:
            _kill(child)
            child = 0
        sys.stdout.write("done\n")
        sys.stdout.flush()
    if child:
        _kill(child)


def _start(serve: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        os.dup2(2, 1)  # standard output is for our answers, standard error is the service's log
        serve()
        os._exit(0)
    return child


def _kill(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


if __name__ == "__main__":
    main()
