"""uvicorn, with every choice that matters made explicitly."""

import asyncio
import ctypes
import gc
import resource
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import NoReturn

import uvicorn
from litestar.types import ASGIApp
from uvicorn.config import STARTUP_FAILURE

from shared.address import Address
from shared.await_database import await_database
from shared.edge.limits import UNREAD_BYTES_MAX, HttpLimits
from shared.edge.metrics import UNREAD_BYTES, UNREAD_BYTES_BOUND
from shared.edge.protocol import BoundedProtocol
from shared.edge.unread import Unread
from shared.env import SettingError, load
from shared.env import Settings as SettingsType
from shared.mongo import Client, UnusableDatabaseError
from shared.telemetry import log

STOP_SECONDS = 10  # for requests in hand; then the workers have their own bounds: all in all less than 30
OPEN_FILES = 8192
# For generation 0 a number of objects, for the others of collections. Python's defaults cost a seventh of the CPU.
GARBAGE_AFTER = (10_000, 20, 20)
# From these sizes on, memory goes back to the kernel: a block as soon as it is freed, and what is free at the heap's end.
LARGE_BLOCK_BYTES, FREE_HEAP_BYTES = 512 * 1024, 16 * 1024 * 1024
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # mallopt(3)
_exit_status = 0


class BoundedServer(uvicorn.Server):
    """Looks at its connections regularly until the last one is closed. When it has started, it logs the `url` to open."""

    def __init__(self, config: uvicorn.Config, limits: HttpLimits, unread: Unread, *, url: str = "") -> None:
        super().__init__(config)
        self._unread = unread
        self._url = url
        shortest = min(limits.http_head_seconds, limits.http_body_seconds, limits.http_write_seconds)
        self._sweep_seconds = min(1.0, shortest / 4)
        self._sweeping: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        UNREAD_BYTES.set_function(self._unread.bytes)
        UNREAD_BYTES_BOUND.set(UNREAD_BYTES_MAX)
        self._sweeping = asyncio.create_task(self._sweep_forever())
        log.info("started", url=self._url)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().shutdown(sockets)
        finally:
            if self._sweeping:
                self._sweeping.cancel()

    async def _sweep_forever(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + self._sweep_seconds
            await asyncio.sleep(self._sweep_seconds)
            if loop.time() - due > self._sweep_seconds:  # we stood still, perhaps our clients too
                await asyncio.sleep(self._sweep_seconds)
            now = loop.time()
            for connection in list(self.server_state.connections):
                assert isinstance(connection, BoundedProtocol)
                try:
                    connection.sweep(now)
                except Exception as error:  # noqa: BLE001 - the other connections must be looked at too
                    log.error("sweep failed", exc_info=error)
            self._unread.look()


def serve(app: ASGIApp, address: Address, *, limits: HttpLimits) -> None:
    """Serves until SIGTERM or SIGINT; then stops accepting, finishes what is in hand and ends with exit status 0."""
    # uvicorn handles the signal while it serves. When it is done, it raises the signal again for the handler before its own.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(_exit_status))
    _allow_open_files()
    _give_back_large_blocks()
    unread = Unread()
    config = uvicorn.Config(
        app,
        host=address.host,
        port=address.port,
        loop="uvloop",
        http=partial(BoundedProtocol, limits, unread),  # type: ignore[arg-type]
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=65,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    server = BoundedServer(config, limits, unread, url=address.url)
    gc.set_threshold(*GARBAGE_AFTER)
    gc.freeze()  # the objects of the start stay for good: no collection needs to visit them
    try:
        with suppress(KeyboardInterrupt):
            server.run()
    except SystemExit as end:
        if end.code != STARTUP_FAILURE:
            raise
    if not server.started:  # for example, the database has gone away again
        sys.exit(1)


def stop_as_failed() -> None:
    """Ends the service as SIGTERM does, but with exit status 1."""
    global _exit_status  # noqa: PLW0603 - of the process
    _exit_status = 1
    signal.raise_signal(signal.SIGTERM)


def _allow_open_files() -> None:
    """Many shells allow 1,024, which is fewer than the connections that we accept."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _give_back_large_blocks() -> None:
    """By itself, glibc puts them on the heap once the first has been freed. The answers that wait for clients then lie among
    holes: 131 MB of answers took 215. Other C libraries are left alone.
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES)
        mallopt(_M_TRIM_THRESHOLD, FREE_HEAP_BYTES)


def await_database_or_exit(
    uri: str, prepare: Callable[[Client], Awaitable[None]] | None = None, *, patience_seconds: float = 10.0
) -> None:
    """Returns when MongoDB answers as a replica set and is prepared; else exit status 1, with one line that says why on
    standard error. `prepare` raises UnusableDatabaseError, and may run several times. Only tests set `patience_seconds`.
    """
    try:
        asyncio.run(await_database(uri, prepare, patience_seconds=patience_seconds))
    except UnusableDatabaseError as error:
        _exit(f"MONGODB_URI: {error}", 1)


def require_port_or_exit(address: Address) -> None:
    """Exit status 1 with one line on standard error if another process listens there: before we wait for MongoDB."""
    try:
        address.require_free()
    except SettingError as error:
        _exit(error, 1)


def load_or_exit(
    settings: type[SettingsType], environ: Mapping[str, str], check: Callable[[SettingsType], None] = lambda _: None
) -> SettingsType:
    """The settings, or exit status 2 with one line on standard error that names what is wrong."""
    try:
        loaded = load(settings, environ)
        check(loaded)
    except SettingError as error:
        _exit(error, 2)
    return loaded


def _exit(reason: object, status: int) -> NoReturn:
    print(f"cannot start: {reason}", file=sys.stderr)  # noqa: T201 - logs are not configured yet
    raise SystemExit(status)
