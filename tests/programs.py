"""The command lines, run as an operator runs them."""

import asyncio
import os
import subprocess
import sys


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
