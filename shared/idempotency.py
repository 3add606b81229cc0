"""Idempotency keys: draft-ietf-httpapi-idempotency-key-header, and Stripe's practice where it is silent.

A key stores its first request and the answer to it. It is written together with what the request made, as a `Key` in the
`keys` of that document, so there is no half-done key.
"""

import hashlib
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import msgspec

TTL = timedelta(hours=24)  # Stripe's floor; a retry on Friday night still replays on Saturday

_BARE = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]{1,255}\Z")  # visible ASCII without " , ; \
_QUOTED = re.compile(r'"((?:[\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,510})"\Z')  # sf-string, RFC 8941 §3.3.3


class KeyMalformedError(ValueError):
    """The Idempotency-Key header does not hold one key."""


class Answer(msgspec.Struct, frozen=True):
    """The answer to the first request with this key, byte for byte."""

    status: int
    body: str
    location: str
    replayed: bool

    @property
    def resource_id(self) -> str:
        return self.location.rpartition("/")[2]


class KeyReused(msgspec.Struct, frozen=True):
    """The key belongs to another request."""


class KeyedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request with the key `value`. Two requests are the same if endpoint and fingerprint are."""

    value: str
    endpoint: str
    fingerprint: str


class Key(KeyedRequest, frozen=True, kw_only=True):
    """An entry in a document's `keys`: the first request with this key. `body` is the answer, byte for byte; `of` is the id
    of the thing that the request made.
    """

    status: int
    body: str
    location: str
    expires_at: datetime
    of: str

    @property
    def answer(self) -> Answer:
        """The answer to the request that made this entry."""
        return Answer(self.status, self.body, self.location, replayed=False)

    def replayed_for(self, other: KeyedRequest) -> Answer | KeyReused:
        """The answer to another request with this key: the first answer if the request is the same."""
        if (other.endpoint, other.fingerprint) != (self.endpoint, self.fingerprint):
            return KeyReused()
        return Answer(self.status, self.body, self.location, replayed=True)


def keyed(value: str, endpoint: str, command: Any) -> KeyedRequest:
    """The request to do `command` at `endpoint` under the key `value`."""
    return KeyedRequest(value=value, endpoint=endpoint, fingerprint=fingerprint(endpoint, command))


def new_key(
    request: KeyedRequest,
    *,
    body: bytes,
    location: str,
    now: datetime,
    ttl: timedelta = TTL,
    status: int = 201,
    of: str | None = None,
) -> Key:
    """The entry of a `request` that `status` and `body` answer. `of` defaults to the id at the end of `location`."""
    return Key(
        **msgspec.structs.asdict(request),
        status=status,
        body=body.decode(),
        location=location,
        expires_at=now + ttl,
        of=of or location.rpartition("/")[2],
    )


def entry_of(keys: Iterable[Key], value: str) -> Key | None:
    """The entry of the key `value`, which may have expired."""
    return next((one for one in keys if one.value == value), None)


def live(keys: Iterable[Key], now: datetime) -> tuple[Key, ...]:
    """The keys that have not expired by `now`. C10: the server's clock, as of the read, decides."""
    return tuple(key for key in keys if key.expires_at > now)


def parse_key(header: str) -> str:
    """The key in a header. A structured-field string and a bare one are the same key. Raises KeyMalformedError."""
    if quoted := _QUOTED.match(header):
        key = re.sub(r'\\(["\\])', r"\1", quoted[1])
        if len(key) <= 255:
            return key
    elif _BARE.match(header):
        return header
    raise KeyMalformedError(
        "must be 1 to 255 visible ASCII characters, in double quotes if it holds a comma, semicolon, quote or backslash"
    )


def fingerprint(endpoint: str, command: Any) -> str:
    """SHA-256 of the endpoint and the decoded command, so that spelling does not matter: 99.9 and "99.90" are the same."""
    encoded = msgspec.json.encode(command, order="deterministic")
    return hashlib.sha256(endpoint.encode() + b"\0" + encoded).hexdigest()
