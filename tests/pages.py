"""The commands of a page, and a terminal to paste them into."""

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

SHELL_SECONDS = 60

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_DONE = b"pasted-and-done\n"


def blocks(text: str, language: str) -> list[str]:
    """The code blocks of a page that are in this language. The output that a page shows has none."""
    return [body for fence, body in _BLOCK.findall(text) if fence == language]


class Terminal:
    """A shell that lines are pasted into."""

    def __init__(self, shell: asyncio.subprocess.Process) -> None:
        self._shell = shell

    async def paste(self, lines: str) -> str:
        """Returns what the lines print, once all of them are done."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"{lines}\necho {_DONE.decode()}".encode())
        printed = await asyncio.wait_for(self._shell.stdout.readuntil(_DONE), SHELL_SECONDS)
        return printed.removesuffix(_DONE).decode()


@asynccontextmanager
async def open_terminal(folder: Path) -> AsyncIterator[Terminal]:
    """A new shell in `folder`."""
    shell = await asyncio.create_subprocess_exec(
        "bash",
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield Terminal(shell)
    finally:
        with contextlib.suppress(ProcessLookupError):
            shell.kill()
        await shell.communicate()
