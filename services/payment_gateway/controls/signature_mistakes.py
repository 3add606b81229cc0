"""Why a signature is not accepted: whether the bytes, the secret, the clock or the headers are wrong. Pure.

`shared.signing` tells a stranger only yes or no. This module is for the holder of the secret who looks for a bug.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

import msgspec

from payment_gateway.controls.signing_ways import Claim, Mistake, Scheme, ways_to_sign
from shared.signing import SIGNATURES_MAX, TOLERANCE_SECONDS, SecretError, check_secret, sign, sign_standard

MILLISECONDS_FROM = 10**11  # as seconds this is the year 5138, as milliseconds 1973
_HALF_HOUR = 1800
_ZONES_SECONDS = 14 * 3600  # no local time is further from UTC
_DIGITS_MAX = 16


class Verdict(msgspec.Struct, frozen=True):
    """A signature is `valid` if there are no mistakes. `expected` are the right headers for these bytes and this secret; it
    is empty if the scheme cannot use the secret.
    """

    scheme: Scheme
    valid: bool
    mistakes: list[Mistake]
    expected: Mapping[str, str]


def judge(body: bytes, secret: str, headers: Mapping[str, str], *, at: int, others: Mapping[str, str]) -> list[Verdict]:
    """A verdict for each scheme that is among `headers`, whose names are in lower case. `at` is in Unix seconds. `others`
    are the merchant's own secrets, with words that say whose each is.
    """
    claims: dict[Scheme, Claim | Mistake] = {}
    if "x-signature" in headers:
        claims["X-Signature"] = _claim_of_x_signature(headers["x-signature"])
    if any(name.startswith("webhook-") for name in headers):
        claims["Standard Webhooks"] = _claim_of_standard_webhooks(headers)
    return [_verdict(scheme, claim, body, secret, at, others) for scheme, claim in claims.items()]


def _claim_of_x_signature(header: str) -> Claim | Mistake:
    if header.startswith("v1,"):
        return Mistake("headers", "X-Signature has the value of webhook-signature, a header of the other scheme.")
    pairs = [part.strip().partition("=") for part in header.split(",")]
    timestamps = [value for name, _, value in pairs if name == "t"]
    signatures = [value for name, _, value in pairs if name == "v1"]
    if len(timestamps) != 1 or not _is_time(timestamps[0]) or not signatures:
        return Mistake("headers", "X-Signature is not of the form t=<Unix seconds>,v1=<hex>.")
    return Claim("X-Signature", timestamps[0], signatures[:SIGNATURES_MAX])


def _claim_of_standard_webhooks(headers: Mapping[str, str]) -> Claim | Mistake:
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    if missing := [name for name in names if name not in headers]:
        return Mistake("headers", f"Standard Webhooks needs three headers. There is no {' and no '.join(missing)}.")
    message_id, timestamp, signature = (headers[name] for name in names)
    if not _is_time(timestamp):
        return Mistake("headers", "webhook-timestamp is not in Unix seconds, in digits only.")
    signatures = [one.removeprefix("v1,") for one in signature.split(" ") if one.startswith("v1,")]
    if not signatures:
        return Mistake("headers", "webhook-signature is not of the form v1,<base64>.")
    return Claim("Standard Webhooks", timestamp, signatures[:SIGNATURES_MAX], message_id)


def _is_time(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _DIGITS_MAX


def _verdict(
    scheme: Scheme, claim: Claim | Mistake, body: bytes, secret: str, at: int, others: Mapping[str, str]
) -> Verdict:
    mistakes = []
    if at >= MILLISECONDS_FROM:
        mistakes.append(Mistake("clock", "The time of checking is in milliseconds. It must be in seconds."))
        at //= 1000
    signed_at, message_id = at, "evt_1"
    if isinstance(claim, Mistake):
        mistakes.append(claim)
    else:
        late = _clock_mistakes(int(claim.timestamp), at)
        mistakes += [*_signing_mistakes(claim, body, secret, others), *late]
        signed_at, message_id = at if late else int(claim.timestamp), claim.message_id or message_id
    return Verdict(scheme, not mistakes, mistakes, _expected(scheme, body, secret, signed_at, message_id))


def _expected(scheme: Scheme, body: bytes, secret: str, signed_at: int, message_id: str) -> Mapping[str, str]:
    if scheme == "X-Signature":
        return {"X-Signature": sign(body, [secret], signed_at)}
    return {} if _secret_fault(secret) else sign_standard(body, [secret], signed_at, message_id)


def _signing_mistakes(claim: Claim, body: bytes, secret: str, others: Mapping[str, str]) -> list[Mistake]:
    """The fewest mistakes with which one of the signatures comes out; none if it is right."""
    given = {digest: about for digest, about in map(_digest, claim.signatures) if digest}
    for way in ways_to_sign(claim, body, secret, others):
        digest = hmac.digest(way.key, way.content, hashlib.sha256)
        if digest in given:
            return [*way.mistakes, *_spelling_mistakes(claim.scheme, given[digest])]
    if not given:
        return [
            Mistake("headers", "No signature is as long as one of HMAC-SHA-256: 64 digits of hex, or 44 of base64.")
        ]
    if claim.scheme == "Standard Webhooks" and (fault := _secret_fault(secret)):
        return [Mistake("secret", f"The secret of Standard Webhooks {fault}.")]
    return [
        Mistake(
            "unknown",
            "No usual mistake explains it: either these are not the bytes that were signed, or another secret has signed "
            "them.",
        )
    ]


def _digest(signature: str) -> tuple[bytes, str]:
    """The digest and the name of its spelling; an empty digest if it cannot be decoded."""
    try:
        if len(signature) == 64:
            return bytes.fromhex(signature), "hex" if signature == signature.lower() else "HEX"
        if len(signature) == 44:
            return base64.b64decode(signature, validate=True), "base64"
    except (ValueError, binascii.Error):
        pass
    return b"", ""


def _spelling_mistakes(scheme: Scheme, spelling: str) -> list[Mistake]:
    """At most one mistake of spelling."""
    right = "hex" if scheme == "X-Signature" else "base64"
    if spelling == right:
        return []
    if spelling == "HEX" and right == "hex":
        return [Mistake("headers", "The signature is in capitals. It must be in lower-case hex.")]
    return [Mistake("headers", f"The signature is in {spelling.lower()}. It must be in {right}.")]


def _secret_fault(secret: str) -> str:
    try:
        check_secret(secret)
    except SecretError as error:
        return str(error)
    return ""


def _clock_mistakes(signed_at: int, at: int) -> list[Mistake]:
    """At most one mistake of the clock."""
    if signed_at >= MILLISECONDS_FROM:
        return [Mistake("clock", "The timestamp is in milliseconds. It must be in seconds.")]
    apart = abs(at - signed_at)
    if apart <= TOLERANCE_SECONDS:
        return []
    when = "before" if signed_at < at else "after"
    zones = round(apart / _HALF_HOUR) * _HALF_HOUR
    may_be_zone = 0 < zones <= _ZONES_SECONDS and abs(apart - zones) <= 60
    cause = (
        "Perhaps local time was taken for UTC." if may_be_zone else "It is an old one, or one of two clocks is wrong."
    )
    return [Mistake("clock", f"It was signed {_in_words(apart)} {when} it was checked; 5 min is allowed. {cause}")]


def _in_words(seconds: int) -> str:
    """A duration in its two largest units."""
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])
