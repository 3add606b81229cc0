"""What handlers of GET read with: one thing of the merchant's, or a page of a list."""

from collections.abc import Mapping
from typing import Annotated, Any

from litestar.params import QueryParameter

from payment_gateway.store import Store
from shared.edge.problems import ProblemError
from shared.mongo import Collection, Document
from shared.pages import LIMIT_MAX, at_and_id, cut, decode_cursor
from shared.tracing import note

Limit = Annotated[int, QueryParameter(ge=1, le=LIMIT_MAX)]
Text = Annotated[str | None, QueryParameter(max_length=255)]


async def found(store: Store, collection: Collection, merchant: str, document_id: str) -> Document:
    """Raises ProblemError `not-found`, for what is another merchant's too."""
    document = await store.one(collection, merchant, document_id)
    if document is None:
        raise ProblemError("not-found", f"no such {collection.name.removesuffix('s').replace('_', ' ')}")
    note(reference=document.get("charge_reference", document.get("reference")))
    return document


def given(conditions: Mapping[str, Any]) -> dict[str, Any]:
    """Those that have a value."""
    return {name: value for name, value in conditions.items() if value}


async def page(
    store: Store, collection: Collection, conditions: Mapping[str, Any], limit: int, cursor: str | None
) -> tuple[list[Document], str | None]:
    """The documents of one page and the cursor of the next. Conditions without a value do not count. Raises CursorError."""
    before = decode_cursor(cursor) if cursor else None
    newest = await store.newest(collection, given(conditions), before=before, limit=limit + 1)
    return cut(newest, limit, lambda one: at_and_id(one["created_at"], one["_id"]))
