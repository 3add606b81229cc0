"""Finds the process at the other end of a connection, if several connect to one port. On Linux only."""

import os
import socket
import struct
import sys
from collections.abc import Callable, Iterator, Mapping

UNKNOWN = "unknown"
ABLE = sys.platform == "linux"

# sock_diag(7): one question about one socket. Reading all of /proc/net/tcp for it would stop us for tens of milliseconds
# on a machine with many sockets, just when everybody connects anew.
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST = 1
_LOOPBACK = socket.inet_aton("127.0.0.1") + bytes(12)
_ANY = 0xFFFFFFFF
_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_INODE_AT = _HEADER.size + 68  # the last field of inet_diag_msg


class Peers:
    """`processes` are the names by process id, as they are just now."""

    def __init__(self, processes: Callable[[], Mapping[int, str]]) -> None:
        self._processes = processes

    def name_of(self, port: int, *, connected_to: int) -> str:
        """The process whose connection from `port` of 127.0.0.1 goes to the port `connected_to`."""
        if not ABLE or not (inode := _inode(port, connected_to)):
            return UNKNOWN
        wanted = f"socket:[{inode}]"
        return next((name for pid, name in self._processes().items() if wanted in _open_files(pid)), UNKNOWN)


def _inode(port: int, connected_to: int) -> int | None:
    """None if there is no such socket any more."""
    ends = struct.pack("!HH", port, connected_to) + _LOOPBACK * 2 + struct.pack("=III", 0, _ANY, _ANY)
    body = struct.pack("=BBBBI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0, _ANY) + ends
    question = _HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _REQUEST, 0, 0) + body
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:  # type: ignore[attr-defined,unused-ignore]
        kernel.send(question)
        answer = kernel.recv(8192)
    _, kind, *_ = _HEADER.unpack_from(answer)
    return struct.unpack_from("=I", answer, _INODE_AT)[0] if kind == _SOCK_DIAG_BY_FAMILY else None


def _open_files(pid: int) -> Iterator[str]:
    try:
        with os.scandir(f"/proc/{pid}/fd") as descriptors:
            for descriptor in descriptors:
                try:
                    yield os.readlink(descriptor.path)  # noqa: PTH115 - a Path for each takes five times as long
                except OSError:  # closed meanwhile
                    continue
    except OSError:  # the process has ended meanwhile
        return
