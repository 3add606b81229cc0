"""Reads the log of a service that is still writing it."""

import json
from pathlib import Path
from typing import Any


def whole_lines(log_file: Path, start: int = 0) -> list[str]:
    """The lines from byte `start` on. One that does not end yet is left out."""
    with log_file.open("rb") as log:
        log.seek(start)
        written, _, _ = log.read().rpartition(b"\n")
    return written.decode(errors="replace").splitlines()


def logged(log_file: Path, start: int = 0) -> list[dict[str, Any]]:
    return [json.loads(line) for line in whole_lines(log_file, start)]
