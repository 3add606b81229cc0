"""The answers that clients leave unread. Each client is bounded in time, and all clients of a process in bytes: one answer
is small, but a thousand are not.
"""

import asyncio
import fcntl
import socket
import struct
import termios

from shared.edge.limits import UNREAD_BYTES_MAX
from shared.edge.metrics import CUT_OFF
from shared.telemetry import log

LOOK_SECONDS = 0.05  # from an answer that cannot be sent at once to a look at all clients: little comes meanwhile
UNSENT_IN_KERNEL_MAX = 128 * 1024  # bytes for each client


class Reader:
    """The client of one connection, as it reads its answers. `patience_seconds` is how long it may take nothing of what is
    sent. Times are by the clock of the event loop.
    """

    def __init__(self, transport: asyncio.Transport, patience_seconds: float, now: float) -> None:
        self._transport = transport
        self.patience_seconds = patience_seconds
        self.progress_at = now  # when the client was last seen to take something
        self._unread_bytes = 0  # as the last sweep saw it
        self._is_cut_off = False

    def unread_bytes(self) -> int:
        """The bytes that wait for the client, here and in the kernel."""
        return 0 if self._is_cut_off else self._transport.get_write_buffer_size() + _unsent_by_kernel(self._transport)

    def note_full(self, now: float) -> None:
        """An answer cannot be sent at once. The client's time begins, unless it has begun already."""
        if self._unread_bytes == 0:
            self.progress_at = now

    def sweep(self, now: float) -> None:
        """Ends the connection if the client has taken nothing for too long."""
        unread = self.unread_bytes()
        if unread == 0 or unread < self._unread_bytes or self._unread_bytes == 0:
            self.progress_at = now
        elif now - self.progress_at >= self.patience_seconds:
            self.cut_off("the client does not read")
        self._unread_bytes = unread

    def cut_off(self, reason: str) -> None:
        CUT_OFF.inc()
        log.info("connection aborted", reason=reason, unread_bytes=self.unread_bytes())
        self._is_cut_off = True
        self._transport.abort()


class Unread:
    """All clients of a process. `readers` are those that are connected."""

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
        for reader in sorted((one for one, count in unread.items() if count), key=lambda one: one.progress_at):
            if excess <= 0:
                break
            excess -= unread[reader]
            reader.cut_off("all clients together leave too much unread")


def keep_little_unsent(transport: asyncio.Transport) -> None:
    """Otherwise the kernel takes megabytes for a client that does not read, and nothing shows when a client does read."""
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_IN_KERNEL_MAX)


def _unsent_by_kernel(transport: asyncio.Transport) -> int:
    """Bytes that the kernel has taken and the client has not acknowledged; 0 where that cannot be asked."""
    try:
        descriptor = transport.get_extra_info("socket").fileno()
        return int(struct.unpack("i", fcntl.ioctl(descriptor, termios.TIOCOUTQ, b"\0\0\0\0"))[0])  # tcp(7)
    except (OSError, ValueError, AttributeError):  # not on Linux; closed; no socket
        return 0
