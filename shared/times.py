"""Times as both APIs write them."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Now, in whole milliseconds: MongoDB keeps no more, so what is written is what is read back."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def rfc3339(at: datetime) -> str:
    """RFC 3339, UTC, with milliseconds and `Z`."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
