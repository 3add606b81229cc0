"""What a log line of an error shows."""

import subprocess
import sys

import pytest

FAIL = """
import sys
from shared.telemetry import configure_logs, log
configure_logs("INFO", sys.argv[1], service="test")
def handle(headers):
    raise RuntimeError("a defect")
try:
    handle({"authorization": "Bearer a-key-that-must-not-show"})
except RuntimeError as error:
    log.error("internal error", exc_info=error)
"""


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_traceback_shows_where_but_not_what_was_in_the_variables(log_format: str) -> None:
    ran = subprocess.run([sys.executable, "-c", FAIL, log_format], capture_output=True, text=True, check=True)
    assert "a defect" in ran.stdout
    assert "handle" in ran.stdout
    assert "a-key-that-must-not-show" not in ran.stdout + ran.stderr
