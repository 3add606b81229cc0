"""Identifiers: a prefix that says what it is, then a UUIDv7 in hex (RFC 9562 §5.7), so that ids sort by creation time."""

import hashlib

from uuid_utils import uuid7

TIME_DIGITS = 12  # a UUIDv7 starts with 48 bits of Unix time in milliseconds


def new_id(prefix: str) -> str:
    return f"{prefix}_{uuid7().hex}"


def derive_id(prefix: str, source_id: str, *parts: str) -> str:
    """The one id that follows from `source_id` and `parts`, so that making it twice is making it once.

    It keeps the time of `source_id` and stays a well-formed UUIDv7; the rest is SHA-256 of what it is derived from.
    """
    time = source_id.partition("_")[2][:TIME_DIGITS]
    digest = hashlib.sha256("\0".join((prefix, source_id, *parts)).encode()).hexdigest()
    return f"{prefix}_{time}7{digest[:3]}8{digest[3:18]}"
