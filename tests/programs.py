"""The command lines, run as an operator runs them."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
_RUN_IN = "import sys; from pathlib import Path; from tools.run import main; main(Path(sys.argv[1]))"


async def program(module: str, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", module, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **environment},
    )


async def order_api(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return await program("order_api", *words, **environment)


@contextmanager
def make_run(data: Path, environment: Mapping[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """`make run` with its data in `data`."""
    command = [sys.executable, "-c", _RUN_IN, str(data)]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def read_start(process: "subprocess.Popen[str]") -> str:
    """What `make run` prints until it serves."""
    assert process.stdout is not None
    printed = ""
    while (line := process.stdout.readline()) and not line.startswith("Open "):
        printed += line
    return printed + line
