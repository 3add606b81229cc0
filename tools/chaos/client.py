"""A client that retries as Stripe's SDK does, and writes down everything it sees."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from typing import Any

import aiohttp
import msgspec

from shared.backoff import exponential
from shared.http_client import CALL_ERRORS, open_session, retry_after_seconds
from tools.chaos.history import Attempt, History, Kind, Operation

TRY_SECONDS = 12.0  # more than a service takes to say that it does not know
GIVE_UP_SECONDS = 45.0  # longer than a failover; for a client that gives up the outcome is unknown
BACKOFF_BASE_SECONDS = 0.25
BACKOFF_CAP_SECONDS = 4.0
RETRY_AFTER_CAP_SECONDS = 10.0
CONNECT_SECONDS = 3.0

_encode = msgspec.json.Encoder(decimal_format="number").encode


class Client:
    """A client of `urls`. Each retry goes to the next of them. `bearer` is its API key."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        history: History,
        urls: Sequence[str],
        *,
        name: str,
        merchant: str,
        bearer: str | None,
        draw: random.Random,
    ) -> None:
        self._http = http
        self.history = history
        self._urls = urls
        self.name = name
        self.merchant = merchant
        self._headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        self.draw = draw

    async def post(
        self,
        kind: Kind,
        path: str,
        body: Mapping[str, Any] | bytes | None = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] = {},
        **about: Any,
    ) -> Operation:
        """One request, however many tries it takes; `about` is written down with it."""
        sent = {"Content-Type": "application/json", **headers, **({"Idempotency-Key": key} if key else {})}
        data = body if isinstance(body, bytes) else _encode(body or {})
        operation = self.history.begin(self.name, self.merchant, kind, key=key, **about)
        return await self._until_clear(operation, "POST", path, data=data, headers=sent)

    async def get(self, kind: Kind, path: str, **about: Any) -> Operation:
        operation = self.history.begin(self.name, self.merchant, kind, **about)
        return await self._until_clear(operation, "GET", path, headers={})

    async def _until_clear(
        self, operation: Operation, method: str, path: str, *, headers: Mapping[str, str], **options: Any
    ) -> Operation:
        start = self.draw.randrange(len(self._urls))
        give_up_at = self.history.now() + GIVE_UP_SECONDS
        for number, url in enumerate(islice(cycle(self._urls), start, None), 1):
            marked = {**self._headers, **headers, "X-Request-Id": f"chaos-{operation.number}-{number}"}
            attempt, asked_seconds = await self._try(method, url + path, headers=marked, **options)
            operation.attempts.append(attempt)
            if attempt.succeeded or attempt.refused:
                self.history.end(operation, "ok" if attempt.succeeded else "fail")
                break
            backoff = exponential(
                number, base_seconds=BACKOFF_BASE_SECONDS, cap_seconds=BACKOFF_CAP_SECONDS, random=self.draw
            )
            pause = max(backoff, min(asked_seconds or 0.0, RETRY_AFTER_CAP_SECONDS))
            if self.history.now() + pause > give_up_at:
                self.history.end(operation, "unknown")
                break
            await asyncio.sleep(pause)
        return operation

    async def _try(self, method: str, url: str, **options: Any) -> tuple[Attempt, float | None]:
        """One HTTP try, and the Retry-After of its answer in seconds."""
        attempt = Attempt(url=url, began=self.history.now(), seconds=0.0, deadline_seconds=TRY_SECONDS)
        asked_seconds = None
        try:
            async with self._http.request(method, url, allow_redirects=False, **options) as response:
                attempt.body = await response.read()
                attempt.status = response.status  # an answer that breaks off is none
                attempt.replayed = response.headers.get("Idempotent-Replayed") == "true"
                attempt.location = response.headers.get("Location")
                asked_seconds = retry_after_seconds(response)
        except CALL_ERRORS as error:
            attempt.error = f"{type(error).__name__}: {error}".rstrip(": ")
        attempt.seconds = round(self.history.now() - attempt.began, 4)
        return attempt, asked_seconds


def open_http() -> aiohttp.ClientSession:
    return open_session(connections_max=0, connect_seconds=CONNECT_SECONDS, total_seconds=TRY_SECONDS)
