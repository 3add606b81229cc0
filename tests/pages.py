"""Reads the blocks of a page, pastes its commands into a terminal, and compares what it shows with what there is."""

import asyncio
import contextlib
import json
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from bson import Int64

SHELL_SECONDS = 60

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_DONE = b"pasted-and-done\n"
_FIND_ONE = re.compile(r"db\.(\w+)\.findOne\((.*)\)\s*\Z", re.DOTALL)
_MEMBER = re.compile(r"([{,]\s*)(\w+):")
# What differs from run to run, once all white space is gone. Ids are told apart, the rest may be anything of its form.
_VARYING = re.compile(
    r"(?P<id>(?:dlv|ord|ch|obx|rf|re|evt|we)_[0-9a-f]{32})|(?P<left_out>…)"
    r"|(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)|(?P<claim>(?<=')[0-9a-f]{24}(?='))"
    r"|(?P<count>(?<=after)\d+|\d+(?=times|ordersare)|(?<=member)\d|\d+\.\d(?=slater)|(?i:(?<=failover-)\d+))"
)
_FORMS = {"left_out": ".*?", "time": r"[0-9T:.-]+Z", "claim": "[0-9a-f]{24}", "count": r"[0-9.]+"}


def all_blocks(text: str) -> list[tuple[str, str]]:
    """The code blocks of a page in their order, each with its language. The output that a page shows has none."""
    return _BLOCK.findall(text)


def blocks(text: str, language: str) -> list[str]:
    """The code blocks of a page that are in this language."""
    return [body for fence, body in all_blocks(text) if fence == language]


def find_one(block: str) -> tuple[str, list[Any]]:
    """The collection and the arguments of a `db.<collection>.findOne(…)` that a page has for mongosh."""
    found = _FIND_ONE.match(block)
    assert found, f"not a findOne: {block}"
    quoted = _MEMBER.sub(r'\1"\2":', found[2]).replace("'", '"')
    return found[1], json.loads(f"[{quoted}]")


def as_mongosh(value: Any) -> str:
    """A value of a document as mongosh shows it, but for the white space."""
    match value:
        case dict():
            return "{" + ",".join(f"{name}:{as_mongosh(one)}" for name, one in value.items()) + "}"
        case list():
            return f"[{','.join(map(as_mongosh, value))}]"
        case str():
            return f"'{value}'"
        case datetime():
            return f"ISODate('{value.isoformat(timespec='milliseconds').removesuffix('+00:00')}Z')"
        case Int64():
            return f"Long('{value}')"
    return json.dumps(value)


class Shown:
    """Compares what a page shows with what there is. White space counts for nothing, and `…` stands for anything. An id
    that the page shows in two places must be one and the same thing there.
    """

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def compare(self, shown: str, real: str) -> None:
        """Raises AssertionError if what is shown is not what there is."""
        new: list[str] = []
        pattern, at, squeezed = "", 0, "".join(shown.split())
        for varying in _VARYING.finditer(squeezed):
            pattern += re.escape(squeezed[at : varying.start()]) + self._pattern(varying, new)
            at = varying.end()
        found = re.fullmatch(pattern + re.escape(squeezed[at:]), "".join(real.split()), re.DOTALL)
        assert found, f"shown:\n{shown}\nbut there is:\n{real}"
        self._ids |= dict(zip(new, found.groups(), strict=True))

    def _pattern(self, varying: re.Match[str], new: list[str]) -> str:
        if varying.lastgroup != "id":
            return _FORMS[str(varying.lastgroup)]
        if known := self._ids.get(varying[0]):
            return known
        if varying[0] in new:
            return f"(?:\\{new.index(varying[0]) + 1})"
        new.append(varying[0])
        return f"({varying[0].partition('_')[0]}_[0-9a-f]{{32}})"


class Terminal:
    """A shell that lines are pasted into."""

    def __init__(self, shell: asyncio.subprocess.Process) -> None:
        self._shell = shell

    async def paste(self, lines: str, *, seconds: float = SHELL_SECONDS) -> str:
        """Returns what the lines print, once all of them are done. Raises TimeoutError."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"{lines}\necho {_DONE.decode()}".encode())
        printed = await asyncio.wait_for(self._shell.stdout.readuntil(_DONE), seconds)
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
