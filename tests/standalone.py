"""A mongod that is no replica set, so that our services must refuse it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.mongod import command_line, scratch
from tools.process import free_port, spawn, stop


@contextmanager
def standalone_mongod() -> Iterator[str]:
    """Its URI. It may not answer yet."""
    with tempfile.TemporaryDirectory(dir=scratch(), ignore_cleanup_errors=True) as directory:
        port = free_port()
        command = command_line(Path(directory), port, cache_gb=0.25)
        position = command.index("--replSet")
        mongod = spawn([*command[:position], *command[position + 2 :]], log_file=Path(directory) / "mongod.log")
        try:
            yield f"mongodb://127.0.0.1:{port}/?directConnection=true"
        finally:
            stop(mongod)
