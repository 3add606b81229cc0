"""localstripe from PyPI as a process, for `make bench` to compare with: locked, in an environment of its own, and no
dependency of anything else here.
"""

import os
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tools.process import free_port, spawn, stop, tail
from tools.stack import DATA

API_KEY = "sk_test_localstripe"
CARD = {"number": "4242424242424242", "exp_month": "12", "exp_year": "2030", "cvc": "123"}
START_SECONDS = 30.0

_LOCK = Path(__file__).parent.parent / "requirements" / "localstripe.txt"
_HOME = DATA / "localstripe"

# It keeps its store in one fixed file under /tmp, which may be somebody's: here it gets another. Nothing else is changed.
_START = """
import os, localstripe.resources, localstripe.server
localstripe.resources.open = lambda _path, mode: open(os.environ["LOCALSTRIPE_STORE"], mode)
localstripe.server.start()
"""


@contextmanager
def localstripe(folder: Path) -> Iterator[tuple[str, str]]:
    """Its URL and the id of a card that pays, of a server with nothing else in its store. Raises RuntimeError."""
    port = free_port()
    log_file = folder / "localstripe.log"
    command: list[str | Path] = [_installed(), "-c", _START, "--port", str(port), "--from-scratch"]
    environment = {**os.environ, "LOCALSTRIPE_STORE": str(folder / "localstripe.pickle")}
    process = spawn(command, log_file=log_file, environment=environment)
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + START_SECONDS
        while (card := _new_card(url)) is None:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"localstripe did not start; {log_file} ends with:\n{tail(log_file)}")
            time.sleep(0.1)
        yield url, card
    finally:
        stop(process)


def _new_card(url: str) -> str | None:
    """A payment method of its, once it answers."""
    form = {"type": "card", **{f"card[{name}]": value for name, value in CARD.items()}}
    request = urllib.request.Request(
        f"{url}/v1/payment_methods",
        data=urllib.parse.urlencode(form).encode(),
        headers={"Authorization": f"Bearer {API_KEY}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return str(msgspec.json.decode(response.read())["id"])
    except urllib.error.URLError:
        return None


def _installed() -> Path:
    """The Python of an environment that holds what the lock says, made when there is none yet."""
    python, stamp = _HOME / "bin" / "python", _HOME / "lock.txt"
    lock = _LOCK.read_text()
    if not stamp.exists() or stamp.read_text() != lock:
        print("installing localstripe", flush=True)
        venv.create(_HOME, clear=True, with_pip=True)
        pip: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--require-hashes", "-r", _LOCK], check=True)
        stamp.write_text(lock)
    return python
