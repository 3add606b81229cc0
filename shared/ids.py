"""Identifiers: a prefix that names the kind, then a UUIDv7 in hex (RFC 9562 §5.7), so that ids sort by creation time."""

import hashlib
import re
from datetime import UTC, datetime, timedelta

from uuid_utils import uuid7

_HEX = re.compile(r"[0-9a-f]{32}\Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIME_DIGITS = 12  # a UUIDv7 starts with 48 bits of Unix time in milliseconds


def new_id(prefix: str) -> str:
    return f"{prefix}_{uuid7().hex}"


def derive_id(prefix: str, source_id: str, *parts: str, place: int = 0) -> str:
    """The one id that follows from `source_id` and `parts`: deriving it twice gives the same id.

    It is a well-formed UUIDv7. It takes the time of `source_id`, if that has one, and then `place` (0 to 15), so that ids
    derived from one source sort by their places. The rest is SHA-256 of all the parts.
    """
    digest = hashlib.sha256("\0".join((prefix, source_id, *parts)).encode()).hexdigest()
    own = source_id.partition("_")[2]
    time = own[:TIME_DIGITS] if _HEX.match(own) else digest[-TIME_DIGITS:]
    return f"{prefix}_{time}7{place:x}{digest[:2]}8{digest[2:17]}"


def time_of(own_id: str) -> datetime:
    """When an id was made, in UTC."""
    return _EPOCH + timedelta(milliseconds=int(own_id.partition("_")[2][:TIME_DIGITS], 16))


def first_id(prefix: str, at: datetime) -> str:
    """The lowest id with this prefix that can be made at this time: later ids are greater, because ids sort by time."""
    return f"{prefix}_{int(at.timestamp() * 1000):012x}"
