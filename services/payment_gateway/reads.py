"""What handlers of GET read with: one thing of the merchant's, or a page of a list."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from litestar.params import QueryParameter

from payment_gateway.store import Store
from shared.edge.problems import ProblemError
from shared.mongo import Collection, Document
from shared.pages import LIMIT_MAX, at_and_id, cut, decode_cursor, older_than
from shared.tracing import note

# By `created_at`, not by id alone: an event's id has the time of the charge that it is about.
NEWEST_FIRST = {"created_at": -1, "_id": -1}

Limit = Annotated[int, QueryParameter(ge=1, le=LIMIT_MAX)]
Text = Annotated[str | None, QueryParameter(max_length=255)]

T = TypeVar("T")


def there(found: T | None, noun: str) -> T:
    """Raises ProblemError `not-found` if nothing was found, or only what is another merchant's."""
    if found is None:
        raise ProblemError("not-found", f"no such {noun}")
    return found


async def found(store: Store, collection: Collection, merchant: str, document_id: str) -> Document:
    """Raises ProblemError `not-found`."""
    noun = collection.name.removesuffix("s").replace("_", " ")
    document = there(await store.one(collection, merchant, document_id), noun)
    note(reference=document.get("reference"))
    return document


def given(conditions: Mapping[str, Any]) -> dict[str, Any]:
    """Those that have a value."""
    return {name: value for name, value in conditions.items() if value}


def beyond(cursor: str | None) -> dict[str, Any]:
    """The condition for what comes after `cursor`. Raises CursorError."""
    return older_than("created_at", decode_cursor(cursor)) if cursor else {}


def one_page(found: list[Document], limit: int) -> tuple[list[Document], str | None]:
    """Of up to `limit + 1` found: the documents of one page and the cursor of the next."""
    return cut(found, limit, lambda one: at_and_id(one["created_at"], one["_id"]))


async def page(
    collection: Collection, conditions: Mapping[str, Any], limit: int, cursor: str | None
) -> tuple[list[Document], str | None]:
    """The documents of one page and the cursor of the next. Conditions without a value do not count. Raises CursorError."""
    newest = collection.find({**given(conditions), **beyond(cursor)}).sort(NEWEST_FIRST).limit(limit + 1)
    return one_page(await newest.to_list(), limit)
