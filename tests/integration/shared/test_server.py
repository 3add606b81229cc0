"""How a service ends that could not begin."""

import subprocess
import sys

SERVE_WHAT_CANNOT_START = """
import sys
sys.path.insert(0, "services")
from shared.edge.limits import HttpLimits
from shared.edge.server import serve

async def app(scope, receive, send):
    raise OSError("no primary")

serve(app, host="127.0.0.1", port=0, limits=HttpLimits())
"""


def test_a_service_that_cannot_start_ends_with_1_whatever_the_server_says() -> None:
    command = [sys.executable, "-c", SERVE_WHAT_CANNOT_START]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 1, ended.stderr
