"""A raw server that answers every connection with the same bytes, for ever if it may, as fast as the socket takes them."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

ENDLESS = {
    "100 Continue": b"HTTP/1.1 100 Continue\r\n\r\n",
    "103 Early Hints": b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload; as=style\r\nX-Hint: yes\r\n\r\n",
    "a head that does not end": b"X-More: and more\r\n",
}


@dataclass
class Flood:
    """`sent` is how many endless bytes each connection took, in the order in which they were opened."""

    port: int
    sent: list[int] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def flooding(endless: bytes, *, first: bytes = b"", between: threading.Event | None = None) -> Iterator[Flood]:
    """Answers with `first`, waits for `between`, then sends `endless` again and again. It has threads of its own, so that no
    event loop slows it down.
    """
    block = endless * (256 * 1024 // max(len(endless), 1))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        flood = Flood(listener.getsockname()[1])

        def serve(connection: socket.socket, number: int) -> None:
            with connection, suppress(OSError):
                connection.recv(65536)
                connection.sendall(first)
                if between is not None:
                    between.wait()
                while block:
                    flood.sent[number] += connection.send(block)

        def accept() -> None:
            with suppress(OSError):  # the listener is closed
                while True:
                    connection, _ = listener.accept()
                    flood.sent.append(0)
                    number = len(flood.sent) - 1
                    threading.Thread(target=serve, args=(connection, number), daemon=True).start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield flood
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
