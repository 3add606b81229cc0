"""What a log line of an error shows."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

FAIL = """
import sys
from datetime import UTC, datetime, timedelta
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


@pytest.mark.parametrize(("terminal", "starts"), [(True, "\x1b["), (False, "{")], ids=["a terminal", "a pipe"])
def test_lines_are_to_be_read_on_a_terminal_and_json_elsewhere(*, terminal: bool, starts: str) -> None:
    ours, theirs = os.openpty() if terminal else os.pipe()
    subprocess.run([sys.executable, "-c", FAIL, "auto"], stdout=theirs, check=True)
    assert os.read(ours, 65536).decode().startswith(starts)
    os.close(ours)
    os.close(theirs)


def test_lines_to_be_read_have_no_escapes_where_there_is_no_terminal() -> None:
    ran = subprocess.run([sys.executable, "-c", FAIL, "console"], capture_output=True, text=True, check=True)
    assert "\x1b" not in ran.stdout


SPEAK = """
from shared.telemetry import bind, configure_logs, log
configure_logs("INFO", "json", service="test")
bind(request_id="req_1")
log.debug("not shown")
log.warning("something", amount=99, other=None)
"""


def test_a_line_is_one_json_object_that_says_when_who_and_how_serious() -> None:
    ran = subprocess.run([sys.executable, "-c", SPEAK], capture_output=True, text=True, check=True)
    [line] = ran.stdout.splitlines()
    spoken = msgspec.json.decode(line)
    at = datetime.fromisoformat(spoken.pop("timestamp"))
    assert at.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=10)
    assert spoken == {
        "event": "something",
        "amount": 99,
        "other": None,
        "request_id": "req_1",
        "level": "warning",
        "service": "test",
    }
