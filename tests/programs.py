"""The command lines, run as an operator runs them."""

import asyncio
import os
import subprocess
import sys


async def order_api(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "order_api", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **environment},
    )
