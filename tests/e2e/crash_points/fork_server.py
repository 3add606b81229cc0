"""`python -m tests.e2e.crash_points.fork_server MODULE`: starts a service in a tenth of a second, as often as it is told to.

The service is imported once and forked for each start; what runs is its own `main` in a process of its own. Standard input
says `start` or `kill`, each answered by a line. When it ends, the service is killed: it never outlives the tests.
"""

import os
import signal
import sys
from importlib import import_module


def main() -> None:
    serve = import_module(sys.argv[1]).main
    child = 0
    for command in sys.stdin:
        if command == "start\n":
            child = child or _start(serve)
        elif child:
            _kill(child)
            child = 0
        print("done", flush=True)
    if child:
        _kill(child)


def _start(serve: object) -> int:
    child = os.fork()
    if child == 0:
        # Its own log has standard error's place; what the tests read must stay ours alone.
        os.dup2(2, 1)
        assert callable(serve)
        serve()
        os._exit(0)
    return child


def _kill(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


if __name__ == "__main__":
    main()
