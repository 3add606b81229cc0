"""What all clients of a process leave unread, bounded together: one answer is not large, but a thousand are."""

import asyncio
import fcntl
import struct
import termios
from collections.abc import Iterable
from typing import Protocol

from shared.edge.limits import UNREAD_BYTES_MAX

LOOK_SECONDS = 0.05  # from an answer that does not get away at once to a look at all; what may come meanwhile is little


class Reader(Protocol):
    """A connection, as it is seen from here."""

    progress_at: float  # by the loop's clock: when its client was last seen to take something

    def unread_bytes(self) -> int: ...

    def cut_off(self, reason: str) -> None: ...


class Unread:
    """Of the readers that are in `readers`."""

    def __init__(self) -> None:
        self.readers: set[Reader] = set()
        self._looking = False

    def bytes(self) -> int:
        return sum(reader.unread_bytes() for reader in self.readers)

    def look_soon(self) -> None:
        if not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_later(LOOK_SECONDS, self.look)

    def look(self) -> None:
        """Ends connections until the others leave no more than UNREAD_BYTES_MAX: first those whose clients have taken
        nothing for longest. A client that reads is the last of all, however much it was just sent.
        """
        self._looking = False
        unread = {reader: reader.unread_bytes() for reader in self.readers}
        excess = sum(unread.values()) - UNREAD_BYTES_MAX
        for reader in _longest_first(reader for reader, count in unread.items() if count):
            if excess <= 0:
                break
            excess -= unread[reader]
            reader.cut_off("all clients together leave too much unread")


def unsent_by_kernel(transport: asyncio.Transport) -> int:
    """Bytes that the kernel has taken and the client has not acknowledged; 0 where that cannot be asked."""
    try:
        descriptor = transport.get_extra_info("socket").fileno()
        return int(struct.unpack("i", fcntl.ioctl(descriptor, termios.TIOCOUTQ, b"\0\0\0\0"))[0])  # tcp(7)
    except (OSError, ValueError, AttributeError):  # not on Linux; closed; no socket
        return 0


def _longest_first(readers: Iterable[Reader]) -> list[Reader]:
    return sorted(readers, key=lambda reader: reader.progress_at)
