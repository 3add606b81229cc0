"""What clients do who are no customers of anybody's: they ask, and do not read what they are answered."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from random import Random

from tools.chaos.cluster import SERVICES, Cluster
from tools.chaos.faults.fault import Fault, Kind

DEAF = 40
_ASKED = (
    "/schema/openapi.json",
    "/schema/openapi.json",
    "/metrics",
    "/problems/not-found",
)  # nobody needs a key for these


def do_not_read(draw: Random) -> Fault:
    name = draw.choice(SERVICES)
    return Fault("clients that do not read", name, draw.uniform(5, 12), frozenset(), partial(_deaf, name=name))


ONCE_A_RUN: tuple[Kind, ...] = (do_not_read,)


@asynccontextmanager
async def _deaf(cluster: Cluster, *, name: str) -> AsyncIterator[None]:
    """Each leaves to the process whatever the kernel does not take for it. They come past the proxy, which would read."""
    loop = asyncio.get_running_loop()
    sent = "".join(f"GET {path} HTTP/1.1\r\nHost: {name}\r\n\r\n" for path in _ASKED).encode() * 4
    with ExitStack() as open_sockets:
        for _ in range(DEAF):
            deaf = open_sockets.enter_context(socket.socket())
            deaf.setblocking(False)
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await loop.sock_connect(deaf, ("127.0.0.1", cluster.services[name].port))
            await loop.sock_sendall(deaf, sent)
        yield
