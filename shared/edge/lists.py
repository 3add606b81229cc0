"""Lists over HTTP: `{"data": […], "nextCursor": …}`, a page at a time."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Response
from litestar.params import QueryParameter

from shared.edge.responses import json_response
from shared.edge.values import moment
from shared.pages import LIMIT_MAX, Page, decode_cursor, encode_cursor

Limit = Annotated[int, QueryParameter(ge=1, le=LIMIT_MAX)]
Cursor = Annotated[str | None, QueryParameter(max_length=512)]

_TIME: Mapping[str, Any] = {"max_length": 64, "schema_extra": {"format": "date-time"}}
_WITH_ITS_ZONE = "RFC 3339 with a zone, such as 2026-11-28T12:00:00Z."
CreatedFrom = Annotated[
    str | None,
    QueryParameter(name="createdFrom", description=f"Only those of this time or later. {_WITH_ITS_ZONE}", **_TIME),
]
CreatedTo = Annotated[
    str | None, QueryParameter(name="createdTo", description=f"Only those before this time. {_WITH_ITS_ZONE}", **_TIME)
]


def created_between(created_from: str | None, created_to: str | None) -> dict[str, datetime]:
    """The condition on a time that these two parameters of a list make; {} without them. Raises ProblemError, which names
    the parameter.
    """
    bounds = {"$gte": ("createdFrom", created_from), "$lt": ("createdTo", created_to)}
    return {bound: moment(name, text) for bound, (name, text) in bounds.items() if text is not None}


def position_after(request: Request[Any, Any, Any], cursor: str | None) -> str | None:
    """Where in the list at this address the page begins. Raises CursorError."""
    return decode_cursor(cursor, of=request.scope["path"]) if cursor else None


def page_response(request: Request[Any, Any, Any], shown: Iterable[bytes], following: str | None) -> Response[Any]:
    """A page of what is `shown`, each as JSON; the next one begins after the position `following`."""
    cursor = following and encode_cursor(following, of=request.scope["path"])
    return json_response(msgspec.json.encode(Page([msgspec.Raw(one) for one in shown], cursor)))
