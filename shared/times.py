"""Times as both APIs write them."""

from datetime import UTC, datetime
from functools import lru_cache


def utc_now() -> datetime:
    """Now, in whole milliseconds: MongoDB keeps no more, so what is written is what is read back."""
    return stored(datetime.now(UTC))


def stored(at: datetime) -> datetime:
    """`at` as MongoDB keeps it: UTC, whole milliseconds. Raises ValueError if it is too early or too late for that."""
    if not 1970 <= at.year < 9999:
        raise ValueError(f"not between 1970 and 9998: {at.isoformat()}")
    at = at.astimezone(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


@lru_cache(maxsize=64)  # what happens together has one time, which stands in several fields of an answer
def rfc3339(at: datetime) -> str:
    """RFC 3339, UTC, with milliseconds and `Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
