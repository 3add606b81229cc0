"""The gateway over HTTP, for commands: one request at a time, each bounded. It is synchronous, because a command with one
request should not wait for an event loop to be imported.
"""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from http.client import HTTPException
from math import inf
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from shared.times import utc_now, wait_of

Json = dict[str, Any]

CALL_SECONDS = 20.0  # a fault that keeps the gateway silent for longer counts as no answer
RESET_SECONDS = 75.0  # the gateway gives up after 60
ANSWER_BYTES_MAX = 16 * 1024 * 1024
PAGE_MAX = 100
ATTEMPTS_MAX = 12  # a scenario spoils at most 10 replies; then comes the true one, and one more is to spare
RETRY_SECONDS = 0.1  # doubled with each attempt
RETRY_CAP_SECONDS = 2.0
RETRY_AFTER_CAP_SECONDS = 30.0
RETRIED = frozenset({429, 500, 502, 503, 504})


class UnreachableError(Exception):
    """Nobody listens at the gateway's address."""


class NoAnswerError(Exception):
    """The request was sent, but no readable answer came. The gateway may have carried it out."""


class RefusedError(Exception):
    """The gateway answered with a problem."""

    def __init__(self, status: int, problem: Json, retry_after: str = "") -> None:
        super().__init__(status, problem)
        self.status = status
        self.problem = problem
        self.retry_after = retry_after

    @property
    def slug(self) -> str:
        return str(self.problem.get("type", "")).rpartition("/")[2]


class Gateway:
    """One gateway. Every call raises UnreachableError, NoAnswerError or RefusedError."""

    def __init__(self, url: str, api_key: str) -> None:
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {api_key}", "User-Agent": "payment-gateway-cli"}
        # A proxy in the environment is meant for other hosts, not for a mock.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(self, path: str, **query: Any) -> Json:
        """Asks for `path`; parameters without a value are left out."""
        return self.call("GET", _with(path, query))

    def get_bytes(self, path: str, **query: Any) -> bytes:
        """The body of the answer, byte for byte."""
        return self._ask("GET", _with(path, query), None, None, CALL_SECONDS)

    def get_test(self, path: str) -> Json | None:
        """The answer, or None if the test endpoints are disabled."""
        try:
            return self.get(path)
        except RefusedError as error:
            if error.slug == "test-endpoints-disabled":
                return None
            raise

    def now(self) -> datetime:
        """The time of the gateway's clock, which a test may have moved."""
        clock = self.get_test("/v1/test/clock")
        return datetime.fromisoformat(clock["now"]) if clock else utc_now()

    def list(self, path: str, limit: int, *, cursor: str | None = None, **query: Any) -> Json:
        """Up to `limit` members of a list, from as many pages as that takes."""
        found: list[Json] = []
        while len(found) < limit:
            page = self.get(path, limit=min(limit - len(found), PAGE_MAX), cursor=cursor, **query)
            found += page["data"]
            if (cursor := page["nextCursor"]) is None:
                break
        return {"data": found, "nextCursor": cursor}

    def pages(self, path: str, *, cursor: str | None = None, **query: Any) -> Iterator[Json]:
        """All pages of a list."""
        while True:
            page = self.get(path, limit=PAGE_MAX, cursor=cursor, **query)
            yield page
            if (cursor := page["nextCursor"]) is None:
                return

    def create(
        self,
        path: str,
        body: Json,
        *,
        again: Callable[[str], None],
        reference: str | None = None,
        until: float = inf,
        pause: Callable[[float], None] = time.sleep,
    ) -> Json:
        """Asks with one Idempotency-Key until there is an answer, but never again after `until`, in monotonic seconds.
        Before each new try, `again` gets the reason, and `pause` the seconds to wait. An answer about a `reference` other
        than ours counts as none.
        """
        key = uuid4().hex
        for attempt in range(1, ATTEMPTS_MAX + 1):
            wait = min(RETRY_SECONDS * 2 ** (attempt - 1), RETRY_CAP_SECONDS)
            try:
                answer = self.call("POST", path, body, key=key)
                if reference is None or answer.get("reference") == reference:
                    return answer
                failure: Exception = NoAnswerError(f"the answer is about another reference: {answer.get('reference')}")
            except NoAnswerError as error:
                failure = error
            except RefusedError as error:
                if error.status not in RETRIED and error.slug != "idempotency-key-in-flight":
                    raise
                failure = error
                wait = max(wait, min(wait_of(error.retry_after, now=utc_now()) or 0.0, RETRY_AFTER_CAP_SECONDS))
            if attempt == ATTEMPTS_MAX or time.monotonic() + wait > until:
                break
            again(f"POST {path}: {describe(failure)}; again with the same key in {wait:g} s")
            pause(wait)
        raise failure

    def call(
        self, method: str, path: str, body: Json | None = None, *, key: str | None = None, seconds: float = CALL_SECONDS
    ) -> Json:
        """Makes a request, each of whose steps takes at most `seconds`."""
        answer = self._ask(method, path, body, key, seconds)
        try:
            return _decoded(answer)
        except ValueError as error:
            raise NoAnswerError(f"no answer that can be read: {error}") from None

    def _ask(self, method: str, path: str, body: Json | None, key: str | None, seconds: float) -> bytes:
        request = urllib.request.Request(self.url + path, method=method, headers=self._headers)  # noqa: S310
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        if key is not None:
            request.add_header("Idempotency-Key", key)
        try:
            with self._opener.open(request, timeout=seconds) as response:
                answer: bytes = response.read(ANSWER_BYTES_MAX)
                return answer
        except urllib.error.HTTPError as error:
            with error:
                raise RefusedError(error.code, _problem(error), error.headers.get("Retry-After", "")) from None
        except urllib.error.URLError as error:
            raise UnreachableError(f"{self.url} is not reachable: {error.reason}") from None
        except (OSError, HTTPException, ValueError) as error:
            raise NoAnswerError(f"no answer that can be read: {str(error) or type(error).__name__}") from None


def _with(path: str, query: Mapping[str, Any]) -> str:
    given = urlencode({name: value for name, value in query.items() if value})
    return f"{path}?{given}" if given else path


def endpoint_body(
    url: str,
    event_types: Sequence[str],
    secret: str | None,
    max_in_flight: int | None,
    *,
    headers: Mapping[str, str] = {},
    expires_in_seconds: int | None = None,
) -> Json:
    """The body of `POST /v1/webhook-endpoints`. Without a `secret` the gateway makes one."""
    given = {
        "secret": secret,
        "maxInFlight": max_in_flight,
        "headers": headers,
        "expiresInSeconds": expires_in_seconds,
    }
    return {"url": url, "eventTypes": event_types, **{name: value for name, value in given.items() if value}}


def describe(failure: Exception) -> str:
    """A failed call in words."""
    if not isinstance(failure, RefusedError):
        return str(failure)
    problem: Mapping[str, Any] = failure.problem
    said = problem.get("detail") or problem.get("title") or "without saying why"
    return f"{failure.status} {failure.slug or 'refused'}: {said}"


def _decoded(body: bytes) -> Json:
    """The JSON object in `body`. Raises ValueError."""
    decoded = json.loads(body) if body else {}
    if not isinstance(decoded, dict):
        raise ValueError("it is no JSON object")
    return decoded


def _problem(error: urllib.error.HTTPError) -> Json:
    try:
        return _decoded(error.read(ANSWER_BYTES_MAX))
    except (OSError, HTTPException, ValueError):
        return {}
