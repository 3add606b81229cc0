"""Lists over HTTP: `{"data": […], "nextCursor": …}`, a page at a time."""

from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
from litestar import Request, Response
from litestar.params import QueryParameter

from shared.edge.responses import json_response
from shared.pages import LIMIT_MAX, Page, decode_cursor, encode_cursor

Limit = Annotated[int, QueryParameter(ge=1, le=LIMIT_MAX)]
Cursor = Annotated[str | None, QueryParameter(max_length=512)]


def position_after(request: Request[Any, Any, Any], cursor: str | None) -> str | None:
    """Where in the list at this address the page begins. Raises CursorError."""
    return decode_cursor(cursor, of=request.scope["path"]) if cursor else None


def page_response(request: Request[Any, Any, Any], shown: Iterable[bytes], following: str | None) -> Response[Any]:
    """A page of what is `shown`, each as JSON; the next one begins after the position `following`."""
    cursor = following and encode_cursor(following, of=request.scope["path"])
    return json_response(msgspec.json.encode(Page([msgspec.Raw(one) for one in shown], cursor)))
