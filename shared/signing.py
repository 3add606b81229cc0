"""Signed webhooks in the field's two schemes, both HMAC-SHA-256 over the raw body and a timestamp.

- `X-Signature: t=<unix seconds>,v1=<hex>[,v1=…]` signs `<t>.<body>` with the whole secret (Stripe's scheme).
- Standard Webhooks 1.0.0: `webhook-id`, `webhook-timestamp` and `webhook-signature: v1,<base64>[ v1,…]` sign
  `<id>.<timestamp>.<body>` with the base64-decoded part of the secret. We send them, and verify the other scheme.

Verifying raises only SignatureError, whatever a stranger sends. Its reason is for the log, never for the stranger.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

SECRET_PREFIX = "whsec_"  # noqa: S105
TOLERANCE_SECONDS = 300
DEVELOPMENT_SECRET = "whsec_ZGV2ZWxvcG1lbnQtb25seS1zaWduaW5nLXNlY3JldA=="  # noqa: S105 - refused outside development
SIGNATURES_MAX = 8  # rotation needs two; without a bound, a long header would cost its receiver much work
HEADER_LENGTH_MAX = 4096

_TIMESTAMP = re.compile(r"[0-9]{1,12}\Z")

SignatureFault = Literal["malformed", "stale", "wrong"]


class SignatureError(Exception):
    """The signature does not prove that a holder of the secret sent this body now. `kind` says why, for counting."""

    def __init__(self, reason: str, kind: SignatureFault = "malformed") -> None:
        super().__init__(reason)
        self.kind = kind


class Signed(NamedTuple):
    """When a body was signed, in Unix seconds, and the place of the secret among those that were given, from 0."""

    timestamp: int
    secret: int


class SecretError(ValueError):
    """Not a webhook secret: `whsec_` and the base64 of 24 to 64 bytes (Standard Webhooks, Signature scheme)."""


def check_secret(secret: str) -> None:
    """Raises SecretError, which never shows the secret."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError:
        key = b""
    if not secret.startswith(SECRET_PREFIX) or not 24 <= len(key) <= 64:
        raise SecretError(f"must be {SECRET_PREFIX} followed by the base64 of 24 to 64 bytes")


def sign(body: bytes, secrets: Sequence[str], timestamp: int) -> str:
    """The value of `X-Signature`, one `v1` for each secret."""
    return ",".join([f"t={timestamp}", *(f"v1={_hex_digest(secret, timestamp, body)}" for secret in secrets)])


def verify(
    header: str, body: bytes, secrets: Sequence[str], *, now: float, tolerance: float = TOLERANCE_SECONDS
) -> Signed:
    """Checks an `X-Signature` against any of `secrets`. `now` in Unix seconds. Raises SignatureError."""
    if len(header) > HEADER_LENGTH_MAX or not header.isascii():
        raise SignatureError("header too long or not ASCII")
    pairs = [part.partition("=") for part in header.split(",")]
    timestamps = [value for key, _, value in pairs if key == "t"]
    signatures = [value for key, _, value in pairs if key == "v1"]
    if len(timestamps) != 1 or not _TIMESTAMP.match(timestamps[0]):
        raise SignatureError("not exactly one timestamp of 1 to 12 digits")
    if abs(now - int(timestamps[0])) > tolerance:
        raise SignatureError("timestamp outside the tolerance", "stale")
    if not 1 <= len(signatures) <= SIGNATURES_MAX:
        raise SignatureError(f"{len(signatures)} signatures of a known version")
    expected = [_hex_digest(secret, timestamps[0], body) for secret in secrets]
    matching = [  # every pair is compared: the time taken tells nothing about which one matched
        place
        for signature in signatures
        for place, digest in enumerate(expected)
        if hmac.compare_digest(signature.encode(), digest.encode())
    ]
    if not matching:
        raise SignatureError("no signature matches", "wrong")
    return Signed(int(timestamps[0]), min(matching))


def sign_standard(body: bytes, secrets: Sequence[str], timestamp: int, message_id: str) -> dict[str, str]:
    """The three headers of Standard Webhooks, one signature for each secret."""
    signatures = [f"v1,{_base64_digest(secret, message_id, timestamp, body)}" for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }


def _hex_digest(secret: str, timestamp: int | str, body: bytes) -> str:
    return hmac.digest(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hex()


def _base64_digest(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
