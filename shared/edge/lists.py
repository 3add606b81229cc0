"""Lists over HTTP: `{"data": […], "nextCursor": …}`, a page at a time."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from litestar import Response
from litestar.di import Provide
from litestar.params import QueryParameter

from shared.edge.responses import json_response
from shared.edge.types import Request
from shared.edge.values import moment
from shared.pages import LIMIT_DEFAULT, LIMIT_MAX, Found, Page, Paging, decode_cursor, encode_cursor

Limit = Annotated[int, QueryParameter(ge=1, le=LIMIT_MAX)]
Cursor = Annotated[str | None, QueryParameter(max_length=512)]

_TIME: Mapping[str, Any] = {"max_length": 64, "schema_extra": {"format": "date-time"}}
_WITH_ITS_ZONE = "RFC 3339 with a zone, such as 2026-11-28T12:00:00Z."
_CreatedFrom = Annotated[
    str | None,
    QueryParameter(name="createdFrom", description=f"Only those of this time or later. {_WITH_ITS_ZONE}", **_TIME),
]
_CreatedTo = Annotated[
    str | None, QueryParameter(name="createdTo", description=f"Only those before this time. {_WITH_ITS_ZONE}", **_TIME)
]

T = TypeVar("T")


def _paging(
    request: Request,
    created_from: _CreatedFrom = None,
    created_to: _CreatedTo = None,
    limit: Limit = LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Paging:
    """Raises ProblemError, which names the parameter, and CursorError."""
    return Paging(
        limit=limit,
        after=position_after(request, cursor),
        created_from=None if created_from is None else moment("createdFrom", created_from),
        created_to=None if created_to is None else moment("createdTo", created_to),
    )


# A handler that asks for `paging` takes the four query parameters of a list. It takes its other parts from the state of the
# application: for two dependencies Litestar starts a task each, which costs more than 150 microseconds.
PAGING = {"paging": Provide(_paging, sync_to_thread=False)}


def position_after(request: Request, cursor: str | None) -> str | None:
    """The position in the list at this address after which the page begins. Raises CursorError."""
    return decode_cursor(cursor, of=request.scope["path"]) if cursor else None


def page_response(request: Request, found: Found[T], encode: Callable[[T], bytes]) -> Response[Any]:
    """The page that was found, each thing of it as the JSON that `encode` makes."""
    cursor = found.following and encode_cursor(found.following, of=request.scope["path"])
    shown = [msgspec.Raw(encode(thing)) for thing in found.things]
    return json_response(msgspec.json.encode(Page(shown, cursor)))
