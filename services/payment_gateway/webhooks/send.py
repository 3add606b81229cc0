"""One POST to a stranger's address: guarded, bounded, never redirected, and its answer as a value."""

import errno
import re
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from contextvars import ContextVar

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver
from multidict import CIMultiDictProxy

from payment_gateway.webhooks.delivery import RESPONSE_BYTES_MAX, Failure
from payment_gateway.webhooks.destination import Destinations
from payment_gateway.webhooks.look_up import LookUps
from payment_gateway.webhooks.post import Answer, Post
from payment_gateway.webhooks.target import TargetError
from shared.telemetry import log

ERROR_LENGTH_MAX = 300  # without this bound a receiver would decide how long it is
HEADERS_MAX, HEADER_LENGTH_MAX = 16, 128  # of an answer: they are kept with every attempt
USUAL_HEADERS = {"Content-Type": "application/json", "User-Agent": "payment_gateway", "Accept": "*/*"}

_FORBIDDEN: ContextVar[list[str]] = ContextVar("forbidden")  # why the guard refused addresses, during one call
_HEADER_NAME = re.compile(r"[a-z0-9-]{1,64}\Z")  # others could not be names in MongoDB
_SECRET_HEADERS = frozenset({"set-cookie", "www-authenticate", "authorization"})


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """The receiver's answer. `status` is None if no status line came; then `failure` says why, and `error` the same in
    words. With a status, `error` says what was wrong with the rest, usually nothing. `headers` are those that are kept,
    with names in lower case.
    """

    status: int | None
    failure: Failure | None
    error: str | None
    body: str
    headers: Mapping[str, str]
    duration_ms: int
    retry_after_seconds: float | None


class SendWebhook:
    """Sends webhooks. `timeout_seconds` bounds one call; `connections_max` bounds the calls under way. `tls` says which
    certificates are trusted; without it, the system's. Tests pass a `resolver` of their own.
    """

    def __init__(
        self,
        destinations: Destinations,
        *,
        timeout_seconds: float,
        connections_max: int,
        resolver: AbstractResolver | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._destinations = destinations
        self._timeout_seconds = timeout_seconds
        self._connections_max = connections_max
        self._resolver = resolver or LookUps()
        self._tls = tls
        self._posts: dict[bool, Post] = {}

    async def start(self) -> None:
        # Hosts that are allowed by name have connections of their own: a guard sees addresses only, and a connection that is
        # kept open must not serve what it was not judged for.
        self._posts = {by_name: self._post(by_name=by_name) for by_name in (False, True)}
        for post in self._posts.values():
            await post.start()

    async def close(self) -> None:
        for post in self._posts.values():
            await post.close()

    async def __call__(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Sends one. No URL, header or receiver can make it raise."""
        started = time.monotonic()
        answer, failure, error = None, None, None
        forbidden: list[str] = []
        _FORBIDDEN.set(forbidden)
        try:
            target = self._destinations.target_of(url)
            post = self._posts[self._destinations.allows_name(target.host)]
            answer = await post(target, body, headers, body_bytes_max=RESPONSE_BYTES_MAX)
            failure, error = _failure_of(answer, forbidden), answer.error
            if failure == "forbidden":
                error = f"Forbidden: not an allowed destination: {', '.join(dict.fromkeys(forbidden))}"
        except TargetError as fault:
            failure = "forbidden" if fault.is_forbidden else "no_answer"
            error = f"{'Forbidden' if fault.is_forbidden else 'InvalidUrl'}: the URL {fault}"
        except Exception as unforeseen:  # noqa: BLE001 - an unforeseen failure is an attempt too, and tried again
            log.error("a webhook could not be sent", exc_info=True)
            failure, error = "no_answer", type(unforeseen).__name__
        return Reply(
            status=answer.status if answer else None,
            failure=failure,
            error=error and error[:ERROR_LENGTH_MAX],
            body=answer.body.decode(errors="replace") if answer else "",
            headers=_kept(answer.headers) if answer else {},
            duration_ms=round((time.monotonic() - started) * 1000),
            retry_after_seconds=answer.retry_after_seconds if answer else None,
        )

    def _post(self, *, by_name: bool) -> Post:
        def guard(address: aiohttp.AddrInfoType) -> socket.socket:
            family, kind, protocol, _, (host, *_) = address
            if why := self._destinations.forbids(str(host), by_name=by_name):
                _FORBIDDEN.get().append(why)
                raise PermissionError(errno.EACCES, why)
            return socket.socket(family, kind, protocol)

        return Post(
            total_seconds=self._timeout_seconds,
            connections_max=self._connections_max,
            socket_factory=guard,
            resolver=self._resolver,
            tls=self._tls,
        )


def _kept(headers: CIMultiDictProxy[str]) -> dict[str, str]:
    """The first headers of an answer, cut if they are long, without those that may be a secret of the receiver."""
    kept: dict[str, str] = {}
    for name in map(str.lower, headers):
        if name not in kept and len(kept) < HEADERS_MAX and _HEADER_NAME.match(name):
            values = ", ".join(headers.getall(name)).encode(errors="surrogateescape").decode(errors="replace")
            is_long, is_secret = len(values) > HEADER_LENGTH_MAX, name in _SECRET_HEADERS
            kept[name] = "…" if is_secret else values[:HEADER_LENGTH_MAX] + "…" * is_long
    return kept


def _failure_of(answer: Answer, forbidden: Sequence[str]) -> Failure | None:
    """Why there is no status. A name may lead to an address that is `forbidden` and to one that lets us connect in vain."""
    if answer.status is not None:
        return None
    if isinstance(answer.failure, TimeoutError):
        return "timeout"
    is_unconnected = isinstance(answer.failure, aiohttp.ClientConnectorError)
    is_forbidden = forbidden and is_unconnected and not isinstance(answer.failure, aiohttp.ClientSSLError)
    return "forbidden" if is_forbidden else "no_answer"
