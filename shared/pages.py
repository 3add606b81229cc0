"""Lists over HTTP: `{"data": […], "nextCursor": …}`, newest first, with an opaque cursor."""

import base64
import binascii
from typing import Generic, TypeVar

import msgspec

LIMIT_DEFAULT = 20
LIMIT_MAX = 100

T = TypeVar("T")


class CursorError(ValueError):
    """Not a cursor that a list has returned."""


class Page(msgspec.Struct, Generic[T], rename="camel"):
    """One page of a list; `nextCursor` is null on the last."""

    data: list[T]
    next_cursor: str | None = None


def encode_cursor(position: str) -> str:
    return base64.urlsafe_b64encode(position.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> str:
    """The position that `cursor` stands for. Raises CursorError."""
    try:
        position = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise CursorError("not a cursor of this list") from None
    if encode_cursor(position) != cursor:
        raise CursorError("not a cursor of this list")
    return position
