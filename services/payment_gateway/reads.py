"""What handlers of GET read with: one thing of the merchant's, or a page of a list."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

from litestar.params import QueryParameter

from payment_gateway.store import Store
from shared.edge.problems import ProblemError
from shared.mongo import Collection, Document
from shared.pages import Found, older_than, place
from shared.tracing import note

# By `created_at`, not by id alone: an event's id has the time of the charge that it is about.
NEWEST_FIRST = {"created_at": -1, "_id": -1}

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


def beyond(position: str | None) -> dict[str, Any]:
    """The condition for what comes after `position`. Raises CursorError."""
    return older_than("created_at", position) if position else {}


async def page(
    store: Store,
    collection: Collection,
    conditions: Mapping[str, Any],
    limit: int,
    position: str | None,
    stages: Sequence[Mapping[str, Any]] = (),
) -> Found[Document]:
    """A page of documents, newest first, after `stages`. Conditions without a value do not count. Raises CursorError."""
    # Two conditions: both may be about `created_at`.
    matching = {"$match": {"$and": [given(conditions), beyond(position)]}}
    newest: list[Mapping[str, Any]] = [matching, {"$sort": NEWEST_FIRST}, *stages]
    documents, more = await store.read_page(collection, newest, limit)
    return Found(documents, place(documents[-1], "created_at") if more else None)
