"""How much memory a process uses."""

import sys
from pathlib import Path

GROWTH_KIB_MAX = 32 * 1024  # what a file of hostile requests may leave behind


def resident_kib(process_id: int, *, most: bool = False) -> int:
    """The memory that it has in use, or the `most` that it ever had, where that can be asked (Linux); elsewhere 0, and
    growth is not looked at.
    """
    if sys.platform != "linux":
        return 0
    status = Path(f"/proc/{process_id}/status").read_text()
    return int(status.partition("VmHWM:" if most else "VmRSS:")[2].split()[0])
