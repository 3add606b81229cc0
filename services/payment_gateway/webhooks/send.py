"""One POST to a stranger's address: guarded, bounded, never redirected, and its answer as a value."""

import asyncio
import errno
import re
import socket
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from payment_gateway.webhooks.delivery import FORBIDDEN, RESPONSE_BYTES_MAX
from payment_gateway.webhooks.destination import Destinations
from shared.http_client import CALL_ERRORS, open_session, read_up_to, retry_after_seconds
from shared.telemetry import log

CONNECT_SECONDS = 5.0
LOOK_UPS_MAX = 48  # threads: small containers allow 64 processes and threads in all
ERROR_LENGTH_MAX = 300  # a receiver decides how long it is
HEADERS_MAX, HEADER_LENGTH_MAX = 16, 128  # of an answer: they are kept with every attempt
USUAL_HEADERS = {"Content-Type": "application/json", "User-Agent": "payment_gateway"}

_MARK = "not an allowed destination"
_HEADER_NAME = re.compile(r"[a-z0-9-]{1,64}\Z")  # others could not be names in MongoDB
_SECRET_HEADERS = frozenset({"set-cookie", "www-authenticate", "authorization"})


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What came back. `status` is None where no whole response came; then `error` says why. `headers` are those that are
    kept, their names in lower case.
    """

    status: int | None
    error: str | None
    body: str
    headers: Mapping[str, str]
    duration_ms: int
    retry_after_seconds: float | None


class SendWebhook:
    """`timeout_seconds` bounds one POST; `connections_max` how many are under way at once."""

    def __init__(
        self,
        destinations: Destinations,
        *,
        timeout_seconds: float,
        connections_max: int,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._destinations = destinations
        self._timeout_seconds = timeout_seconds
        self._connections_max = connections_max
        self._resolver = resolver or _LookUps()
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def start(self) -> None:
        # Hosts that are allowed by name have a session of their own: a guard sees addresses only, and a connection that is
        # kept open must not serve what it was not judged for.
        self._sessions = {by_name: self._open(by_name=by_name) for by_name in (False, True)}

    async def close(self) -> None:
        for session in self._sessions.values():
            await session.close()

    async def __call__(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Raises nothing that a URL, a header or a receiver could bring about."""
        started = time.monotonic()
        status, error, received, asked_seconds = None, None, b"", None
        headers_received: Mapping[str, str] = {}
        try:
            target = URL(url)
            session = self._sessions[self._destinations.allows_name(target.raw_host or "")]
            async with session.post(target, data=body, headers=headers, allow_redirects=False) as response:
                asked_seconds, headers_received = retry_after_seconds(response), _kept(response)
                received = await read_up_to(response, RESPONSE_BYTES_MAX)
                status = response.status  # a response that breaks off is none
        except CALL_ERRORS as failure:
            error = _describe(failure)[:ERROR_LENGTH_MAX]
        except Exception as failure:  # noqa: BLE001 - whatever nobody foresaw is an attempt too, and tried again
            log.error("a webhook could not be sent", exc_info=True)
            error = type(failure).__name__
        return Reply(
            status=status,
            error=error,
            body=received.decode(errors="replace"),
            headers=headers_received,
            duration_ms=round((time.monotonic() - started) * 1000),
            retry_after_seconds=asked_seconds,
        )

    def _open(self, *, by_name: bool) -> aiohttp.ClientSession:
        def guard(address: aiohttp.AddrInfoType) -> socket.socket:
            family, kind, protocol, _, (host, *_) = address
            if why := self._destinations.forbids(str(host), by_name=by_name):
                raise PermissionError(errno.EACCES, f"{_MARK}: {why}")
            return socket.socket(family, kind, protocol)

        return open_session(
            connections_max=self._connections_max,
            connect_seconds=CONNECT_SECONDS,
            total_seconds=self._timeout_seconds,
            socket_factory=guard,
            resolver=self._resolver,
        )


def _kept(response: aiohttp.ClientResponse) -> dict[str, str]:
    """The first headers of an answer, cut where they are long, and without what may be a secret of the receiver."""
    kept: dict[str, str] = {}
    for name in map(str.lower, response.headers):
        if name not in kept and len(kept) < HEADERS_MAX and _HEADER_NAME.match(name):
            values = ", ".join(response.headers.getall(name)).encode(errors="surrogateescape").decode(errors="replace")
            is_long, is_secret = len(values) > HEADER_LENGTH_MAX, name in _SECRET_HEADERS
            kept[name] = "…" if is_secret else values[:HEADER_LENGTH_MAX] + "…" * is_long
    return kept


def _describe(failure: Exception) -> str:
    if _MARK in str(failure):
        cause = failure.os_error.strerror if isinstance(failure, aiohttp.ClientConnectorError) else failure
        return f"{FORBIDDEN}: {cause}"
    if isinstance(failure, aiohttp.InvalidURL):  # it shows the URL, and what is secret in it
        return type(failure).__name__
    if isinstance(failure, aiohttp.ClientResponseError):  # so does this
        return f"{type(failure).__name__}: {failure.message}"
    return f"{type(failure).__name__}: {failure}".rstrip(": ")


class _LookUps(AbstractResolver):
    """A thread for each look-up, up to LOOK_UPS_MAX at once. The event loop has four for everybody's: as many name servers
    that hang would hold up all deliveries. aiohttp remembers answers for ten seconds, and asks for one name once at a time.
    """

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(LOOK_UPS_MAX)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises OSError, also where the system has no thread left for it."""
        await self._free.acquire()
        loop, answer = asyncio.get_running_loop(), Future[list[Any]]()
        answer.set_running_or_notify_cancel()  # whoever waits may go away, and the thread ends when it can

        def ask() -> None:
            try:
                answer.set_result(socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG))
            except UnicodeError as error:
                answer.set_exception(OSError(errno.EINVAL, f"not a host name: {error}"))
            except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
                answer.set_exception(error)
            finally:
                with suppress(RuntimeError):  # the loop has ended
                    loop.call_soon_threadsafe(self._free.release)

        try:
            threading.Thread(target=ask, name=f"look up {host[:64]}", daemon=True).start()
        except RuntimeError as error:
            self._free.release()
            raise OSError(errno.EAGAIN, f"no thread to look up the host: {error}") from None
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in await asyncio.wrap_future(answer)
        ]

    async def close(self) -> None:
        """There is nothing to close."""
