"""Lists over HTTP: `{"data": […], "nextCursor": …}`, newest first, with an opaque cursor."""

import base64
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import msgspec

LIMIT_DEFAULT = 20
LIMIT_MAX = 100
NEVER = datetime(1970, 1, 1, tzinfo=UTC)

T = TypeVar("T")


class CursorError(ValueError):
    """Not a cursor that a list has returned."""


class Unreadable(msgspec.Struct, frozen=True):
    """A document of a list that cannot be shown, and the time that gives it its place in a list sorted by time."""

    id: str
    at: datetime


class Page(msgspec.Struct, Generic[T], rename="camel"):
    """One page of a list; `nextCursor` is null on the last."""

    data: list[T]
    next_cursor: str | None


def at_and_id(at: datetime, document_id: str) -> str:
    """A position in a list that is sorted by a time and then by id."""
    return f"{at.timestamp() * 1000:.0f} {document_id}"


def older_than(field: str, position: str) -> dict[str, Any]:
    """What comes after `position` in a list sorted by the time in `field` and `_id`, newest first. Raises CursorError."""
    milliseconds, _, document_id = position.partition(" ")
    if not re.fullmatch("[0-9]{1,14}", milliseconds, re.ASCII) or not document_id:
        raise CursorError("not a cursor of this list")
    at = datetime.fromtimestamp(int(milliseconds) / 1000, UTC)
    # The bound on `field` alone lets an index begin there: a far page costs no more than the first.
    return {field: {"$lte": at}, "$or": [{field: {"$lt": at}}, {"_id": {"$lt": document_id}}]}


def cut(found: list[T], limit: int, position: Callable[[T], str]) -> tuple[list[T], str | None]:
    """Splits up to `limit + 1` results into a page and the next cursor. The extra one only shows that there are more."""
    following = encode_cursor(position(found[limit - 1])) if len(found) > limit else None
    return found[:limit], following


def encode_cursor(position: str) -> str:
    return base64.urlsafe_b64encode(position.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> str:
    """The position that `cursor` stands for. Raises CursorError."""
    try:
        position = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except ValueError:
        raise CursorError("not a cursor of this list") from None
    if encode_cursor(position) != cursor:
        raise CursorError("not a cursor of this list")
    return position
