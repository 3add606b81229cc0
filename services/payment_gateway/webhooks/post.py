"""One POST to a receiver. The status line of its answer decides, however odd the rest is. Everything that sends webhooks
uses this: deliveries, tests, and `payment-gateway listen`.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeAlias

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy

from payment_gateway.webhooks.target import Target
from shared.http_client import CALL_ERRORS, hearing, open_session, retry_after_seconds

CONNECT_SECONDS = 5.0
# aiohttp would add these. Without Accept-Encoding hardly any receiver compresses, so its answer can be shown.
_NOT_ADDED = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")

Headers: TypeAlias = Mapping[str, str] | Sequence[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer. `status` is None if no status line came; then `failure` says why. With a status, `failure` says what was
    wrong with the rest of the answer. `body` is its start.
    """

    status: int | None
    failure: Exception | None
    headers: CIMultiDictProxy[str]
    body: bytes
    retry_after_seconds: float | None
    is_stale: bool = False  # the connection was kept from an earlier call, and ended before any byte came

    @property
    def error(self) -> str | None:
        """The failure in one line, without the URL and without headers, which may hold secrets."""
        if self.failure is None:
            return None
        told = " ".join(f"{type(self.failure).__name__}: {_reason(self.failure)}".split()).rstrip(": ")
        return told if self.status is None else f"after the status line, {told}"


class Post:
    """Sends POSTs between `start` and `close`. `total_seconds` bounds one call, and `body_seconds` the body of its answer;
    `options` are further ones of `open_session`.
    """

    def __init__(self, *, total_seconds: float, body_seconds: float | None = None, **options: Any) -> None:
        self._total_seconds = total_seconds
        self._body_seconds = body_seconds
        self._options = options

    async def __aenter__(self) -> "Post":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def start(self) -> None:
        self._session = self._open(keeps_connections=True)
        self._session_for_repeats = self._open(keeps_connections=False)

    async def close(self) -> None:
        await self._session.close()
        await self._session_for_repeats.close()

    async def __call__(self, target: Target, body: bytes, headers: Headers, *, body_bytes_max: int) -> Answer:
        """Sends a POST. A receiver cannot make it raise. The `headers` may replace the Host of the target.

        A receiver may close a connection that it kept open just when it is used again. That is no failure, so the POST is
        then repeated once on a new connection.
        """
        started = monotonic()
        sent = CIMultiDict(headers)
        sent.setdefault("Host", target.authority)
        request = {"data": body, "headers": sent}
        answer = await self._ask(self._session, target, request, body_bytes_max, self._total_seconds)
        left = self._total_seconds - (monotonic() - started)
        if answer.is_stale and left > 0:
            answer = await self._ask(self._session_for_repeats, target, request, body_bytes_max, left)
        return answer

    async def _ask(
        self,
        session: aiohttp.ClientSession,
        target: Target,
        request: Mapping[str, Any],
        body_bytes_max: int,
        seconds: float,
    ) -> Answer:
        response, failure, body = None, None, bytearray()
        timeout = aiohttp.ClientTimeout(total=seconds, connect=CONNECT_SECONDS)
        with hearing() as heard:
            try:
                async with (
                    session.post(target.url, **request, allow_redirects=False, timeout=timeout) as response,
                    asyncio.timeout(self._body_seconds),
                ):
                    while chunk := await response.content.read(body_bytes_max - len(body)):
                        body += chunk
            except CALL_ERRORS as error:
                failure = error
        if response is None:
            return Answer(
                status=heard.status,
                failure=failure,
                headers=CIMultiDictProxy(CIMultiDict()),
                body=heard.body[:body_bytes_max],
                retry_after_seconds=None,
                is_stale=heard.on_reused_connection and not heard.head_bytes and _is_of_the_connection(failure),
            )
        return Answer(
            status=response.status,
            failure=failure,
            headers=response.headers,
            body=bytes(body),
            retry_after_seconds=retry_after_seconds(response),
        )

    def _open(self, *, keeps_connections: bool) -> aiohttp.ClientSession:
        return open_session(
            **self._options,
            connect_seconds=CONNECT_SECONDS,
            total_seconds=self._total_seconds,
            keeps_connections=keeps_connections,
            decompresses=False,
            not_added=_NOT_ADDED,
        )


def _is_of_the_connection(failure: Exception | None) -> bool:
    return isinstance(failure, aiohttp.ClientConnectionError) and not isinstance(failure, TimeoutError)


def _reason(failure: Exception) -> str:
    reason = str(failure)
    match failure:
        case aiohttp.ClientResponseError():
            reason = failure.message
        case aiohttp.ServerDisconnectedError():
            reason = "the connection was closed"
        case aiohttp.ConnectionTimeoutError():
            reason = f"no connection within {CONNECT_SECONDS:g} s"
        case aiohttp.ClientConnectorError() if not isinstance(failure, aiohttp.ClientSSLError):
            reason = f"cannot connect to {failure.host}:{failure.port}: {failure.os_error.strerror or failure.os_error}"
        case aiohttp.ClientOSError() if failure.errno and not isinstance(failure, aiohttp.ClientSSLError):
            reason = os.strerror(failure.errno)
    return reason
