"""Who is at the other end of a connection, where several processes come to one port."""

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

UNKNOWN = "unknown"


class Peers:
    """`processes` are the names by process id, as they are just now. On Linux only: elsewhere nobody is known."""

    def __init__(self, processes: Callable[[], Mapping[int, str]]) -> None:
        self._processes = processes

    def name_of(self, port: int, *, connected_to: int) -> str:
        """The process whose connection from `port` of 127.0.0.1 goes to the port `connected_to`."""
        if sys.platform != "linux":
            return UNKNOWN
        wanted = next((inode for ours, theirs, inode in _connections() if (ours, theirs) == (port, connected_to)), None)
        if wanted is None:  # gone already
            return UNKNOWN
        return next((name for pid, name in self._processes().items() if wanted in _sockets(pid)), UNKNOWN)


def _connections() -> Iterator[tuple[int, int, str]]:
    """Local port, remote port and inode of each, as proc(5) has them."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, *_, inode = line.split()[:10]
        yield int(local.partition(":")[2], 16), int(remote.partition(":")[2], 16), inode


def _sockets(pid: int) -> Iterator[str]:
    try:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = str(descriptor.readlink())
            except OSError:  # closed meanwhile
                continue
            if target.startswith("socket:["):
                yield target[len("socket:[") : -1]
    except OSError:  # the process has ended meanwhile
        return
