"""What the command line prints where: terminals, pipes, readers that have gone. And what it does not load."""

import asyncio
import os
import pty
import signal
import subprocess
import sys
from contextlib import suppress

import pytest

from tests.e2e.command_line.conftest import PROGRAM, CommandLine, Merchant
from tests.waiting import until

GREEN, COLOUR = b"\x1b[32m", b"\x1b[3"


async def on_a_terminal(command: CommandLine, *words: str, **environment: str) -> bytes:
    """What is printed where people read it."""
    ours, theirs = pty.openpty()
    try:
        process = await asyncio.create_subprocess_exec(
            PROGRAM,
            *words,
            env={**command.environment, "TERM": "xterm-256color", **environment},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        await asyncio.wait_for(process.wait(), 60)
        printed = b""
        with suppress(OSError):  # EIO, once all is read: nobody has the other end
            while part := os.read(ours, 65536):
                printed += part
        return printed
    finally:
        os.close(ours)


async def test_a_terminal_gets_colours(command: CommandLine, merchant: Merchant) -> None:
    await merchant.charge()
    assert GREEN in await on_a_terminal(command, "charges", "list")


async def test_a_pipe_gets_none(command: CommandLine, merchant: Merchant) -> None:
    await merchant.charge()
    printed = (await command("charges", "list")).out
    assert "succeeded" in printed
    assert "\x1b" not in printed


async def test_no_color_is_respected(command: CommandLine, merchant: Merchant) -> None:
    await merchant.charge()
    printed = await on_a_terminal(command, "charges", "list", NO_COLOR="1")
    assert b"succeeded" in printed
    assert COLOUR not in printed


async def test_a_reader_that_has_had_enough_is_no_failure(command: CommandLine, merchant: Merchant) -> None:
    await merchant.charge()
    ran = await asyncio.to_thread(
        subprocess.run,
        ["bash", "-c", f"set -o pipefail; '{PROGRAM}' charges list | exec true"],
        env=command.environment,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (ran.returncode, ran.stderr) == (0, b"")


async def test_an_interrupt_is_130_and_quiet(command: CommandLine, merchant: Merchant) -> None:
    process = await asyncio.create_subprocess_exec(
        *(PROGRAM, "trigger", "payment.succeeded", "--scenario", '{"settleDelaySeconds": 3600}'),
        env=command.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )

    async def waits() -> bool:
        return bool(merchant.listed("charges"))

    await until(waits, "it has charged, and waits")
    process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(process.communicate(), 60) == (b"", b"")
    assert process.returncode == 130


@pytest.mark.parametrize(
    ("words", "unneeded"),
    [(["--help"], {"aiohttp", "litestar", "pymongo", "msgspec"}), (["serve"], {"rich_click"})],
    ids=["help", "serve"],
)
def test_what_a_command_does_not_need_is_not_imported(words: list[str], unneeded: set[str]) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "MONGODB_URI"}
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "payment_gateway", *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    imported = {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines()}
    assert "payment_gateway" in imported
    assert not imported & unneeded
