"""Lists over HTTP: `{"data": […], "nextCursor": …}`, newest first, with an opaque cursor."""

import base64
import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

LIMIT_DEFAULT = 20
LIMIT_MAX = 100
_CHECKSUM_BYTES = 6
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)

T = TypeVar("T")


class CursorError(ValueError):
    """Not a cursor that this list has returned."""


class Unreadable(msgspec.Struct, frozen=True):
    """A document of a list that cannot be shown."""

    id: str


class Found(NamedTuple, Generic[T]):
    """The things of one page, and the position at which the next page begins; None on the last page."""

    things: list[T]
    following: str | None


class Paging(msgspec.Struct, frozen=True, kw_only=True):
    """The page of a list that is asked for: at most `limit` things, from just after the position `after`. Only those of
    `created_from` or later and before `created_to` are in the list; None is no bound.
    """

    limit: int = LIMIT_DEFAULT
    after: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None

    @property
    def created(self) -> dict[str, datetime]:
        """The condition on the time; {} without bounds."""
        bounds = {"$gte": self.created_from, "$lt": self.created_to}
        return {bound: at for bound, at in bounds.items() if at is not None}


class Page(msgspec.Struct, Generic[T], rename="camel"):
    """One page of a list; `nextCursor` is null on the last."""

    data: list[T]
    next_cursor: str | None


def at_and_id(at: datetime, document_id: str) -> str:
    """A position in a list that is sorted by a time and then by id."""
    return f"{at.timestamp() * 1000:.0f} {document_id}"


def place(document: Mapping[str, Any], sorted_by: str) -> str:
    """The position of a document in a list that is sorted by a time and then by id, even if it cannot be shown."""
    at = document.get(sorted_by)
    return at_and_id(at if isinstance(at, datetime) else _NEVER, document["_id"])


def older_than(field: str, position: str) -> dict[str, Any]:
    """A filter for what comes after `position` in a list sorted by `field` and `_id`, newest first. Raises CursorError."""
    milliseconds, _, document_id = position.partition(" ")
    if not re.fullmatch("[0-9]{1,14}", milliseconds, re.ASCII) or not document_id:
        raise CursorError("not a cursor of this list")
    at = datetime.fromtimestamp(int(milliseconds) / 1000, UTC)
    # The bound on `field` alone lets an index begin there: a far page costs no more than the first.
    return {field: {"$lte": at}, "$or": [{field: {"$lt": at}}, {"_id": {"$lt": document_id}}]}


def encode_cursor(position: str, *, of: str) -> str:
    """The cursor of `position` in the list `of`. It starts with a checksum, so that a changed cursor or one of another list
    is refused. It is no secret: a client that makes one up only sees its own list.
    """
    return base64.urlsafe_b64encode(_checksum(position, of) + position.encode()).decode().rstrip("=")


def decode_cursor(cursor: str, *, of: str) -> str:
    """The position that `cursor` stands for in the list `of`. Raises CursorError."""
    try:
        decoded = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        position = decoded[_CHECKSUM_BYTES:].decode()
    except ValueError:
        raise CursorError("not a cursor of this list") from None
    if encode_cursor(position, of=of) != cursor:
        raise CursorError("not a cursor of this list")
    return position


def _checksum(position: str, of: str) -> bytes:
    return hashlib.sha256(f"{of}\n{position}".encode()).digest()[:_CHECKSUM_BYTES]
