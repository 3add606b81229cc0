"""Times as both APIs write them, and as HTTP does."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
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


@lru_cache(maxsize=64)  # one time often stands in several fields of an answer
def rfc3339(at: datetime) -> str:
    """RFC 3339, UTC, with milliseconds and `Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def http_date(at: datetime) -> str:
    """A date as HTTP writes it (RFC 9110 §5.6.7), in whole seconds. It is rounded up, so that a wait until then is not too
    short.
    """
    whole = at.replace(microsecond=0) + timedelta(seconds=bool(at.microsecond))
    return format_datetime(whole.astimezone(UTC), usegmt=True)


def wait_of(retry_after: str, *, now: datetime) -> float | None:
    """How many seconds a Retry-After asks to wait, as a number or until a date (RFC 9110 §10.2.3). None for garbage."""
    value = retry_after[:64]
    if value.isascii() and value.isdigit():
        return float(value[:12])
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds())
