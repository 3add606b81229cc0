"""Reads for the handlers of GET: one thing of the merchant, or a page of a list."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from litestar.params import QueryParameter

from payment_gateway.store import Store
from shared.edge.problems import there
from shared.forward import read_up_to_date
from shared.mongo import Collection, Document
from shared.pages import Found, Paging, older_than, place
from shared.tracing import note

# By `created_at`, not by id alone: an event's id carries the time of its charge.
NEWEST_FIRST = {"created_at": -1, "_id": -1}

LOOKED_AT_MAX = 10_000  # documents examined for a page by conditions without an index: some 20 ms
MAY_BE_SHORT = "A page may have fewer than `limit`, even none, and yet there may be a next one."

Text = Annotated[str | None, QueryParameter(max_length=255)]


async def found(store: Store, collection: Collection, merchant: str, document_id: str) -> Document:
    """The document of this merchant. Raises RefusedError."""
    document = there(await store.one(collection, merchant, document_id))
    note(reference=document.get("reference"))
    return document


def given(conditions: Mapping[str, Any]) -> dict[str, Any]:
    """The conditions that have a value."""
    return {name: value for name, value in conditions.items() if value}


def beyond(position: str | None) -> dict[str, Any]:
    """The condition for what comes after `position`. Raises CursorError."""
    return older_than("created_at", position) if position else {}


async def page(
    store: Store,
    collection: Collection,
    conditions: Mapping[str, Any],
    paging: Paging,
    stages: Sequence[Mapping[str, Any]] = (),
    *,
    also: Mapping[str, Any] = {},
) -> Found[Document]:
    """A page of documents, newest first, after `stages`. Conditions without a value do not count. Raises CursorError.

    The conditions in `also` have no index. With one of them a page examines LOOKED_AT_MAX documents: it may have fewer than
    `limit`, or none, although another page follows. C9: a page shows all that was added before it was asked for.
    """
    # As two conditions, because both may be about `created_at`.
    those = {"$match": {"$and": [given({**conditions, "created_at": paging.created}), beyond(paging.after)]}}
    last = await _last_looked_at(collection, those) if given(also) else None
    wanted = {"$match": {**given(also), **(_not_before(last) if last else {})}}
    newest: list[Mapping[str, Any]] = [those, wanted, {"$sort": NEWEST_FIRST}, *stages]
    documents, more = await read_up_to_date(
        store.database, lambda session: store.read_page(collection, newest, paging.limit, session=session)
    )
    last = documents[-1] if more else last
    return Found(documents, place(last, "created_at") if last else None)


async def _last_looked_at(collection: Collection, those: Mapping[str, Any]) -> Document | None:
    """The last of the LOOKED_AT_MAX documents that a page examines; None if there are fewer. It reads only the index."""
    stages = [
        those,
        {"$sort": NEWEST_FIRST},
        {"$skip": LOOKED_AT_MAX - 1},
        {"$limit": 1},
        {"$project": {"created_at": 1}},
    ]
    found = await (await collection.aggregate(stages)).to_list()
    return found[0] if found else None


def _not_before(last: Document) -> dict[str, Any]:
    at = last["created_at"]
    return {"created_at": {"$gte": at}, "$or": [{"created_at": {"$gt": at}}, {"_id": {"$gte": last["_id"]}}]}
