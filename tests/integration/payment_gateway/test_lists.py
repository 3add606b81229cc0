"""Every list can be read between two times, and then nothing beside is read."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from payment_gateway import reads
from payment_gateway.app import Application
from payment_gateway.webhooks.change_endpoints import NewEndpoint
from shared import wire
from shared.times import rfc3339, utc_now
from tests.http_double import HttpDouble
from tests.integration.payment_gateway.conftest import client_of, create
from tests.integration.payment_gateway.webhooks.test_endpoints import settle_and_deliver
from tests.scraping import profiled

MINUTE = timedelta(minutes=1)
BEGAN = utc_now() - timedelta(days=1)
# Each list, the collection that it reads first, and where a document of that has the time.
LISTS = {
    "charges": ("charges", "created_at"),
    "refunds": ("charges", "refunds.0.created_at"),
    "disputes": ("charges", "disputes.0.created_at"),
    "events": ("events", "created_at"),
    "deliveries": ("deliveries", "created_at"),
    "webhook-endpoints": ("webhook_endpoints", "created_at"),
}


@pytest.fixture
async def client(application: Application, receiver: HttpDouble) -> AsyncIterator[httpx.AsyncClient]:
    """There are six of each, a minute between them."""
    for number in range(6):
        charge = await create(application, payment_method="pm_card_disputed")
        await application.settle_charges.run_once()
        asked = wire.RefundRequest(amount=1, reference=f"refund-{number}")
        await application.create_money.refund("default", uuid4().hex, charge.id, asked)
    for number in range(5):  # beside that of the environment
        new = NewEndpoint(f"{receiver.url}/{number}", event_types=("payment.failed",))
        await application.change_endpoints.add("default", uuid4().hex, new)
    while await application.settle_charges.run_once():
        continue
    await settle_and_deliver(application)
    for name, field in set(LISTS.values()):
        collection = application.store.database[name]
        there = await collection.find({field: {"$exists": True}}, {"_id": 1}).sort("_id").to_list()
        for number, document in enumerate(there):
            await collection.update_one(document, {"$set": {field: BEGAN + number * MINUTE}})
    async with client_of(application) as client:
        yield client


async def ids(client: httpx.AsyncClient, name: str, **query: Any) -> list[str]:
    answer = await client.get(f"/v1/{name}", params=query)
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["data"]]


def at(number: int) -> str:
    return rfc3339(BEGAN + number * MINUTE)


@pytest.mark.parametrize("name", LISTS)
async def test_a_list_is_read_from_one_time_on_and_before_another(client: httpx.AsyncClient, name: str) -> None:
    everything = await ids(client, name)
    count = len(everything)
    assert count >= 6
    newest_first = dict(zip(range(count - 1, -1, -1), everything, strict=True))
    assert await ids(client, name, createdFrom=at(2), createdTo=at(4)) == [newest_first[3], newest_first[2]]
    assert await ids(client, name, createdFrom=at(count - 1)) == [newest_first[count - 1]]
    assert await ids(client, name, createdTo=at(1)) == [newest_first[0]]
    assert await ids(client, name, createdFrom=at(4), createdTo=at(2)) == []


@pytest.mark.parametrize("name", LISTS)
async def test_the_pages_of_a_time_are_those_of_one_list(client: httpx.AsyncClient, name: str) -> None:
    asked = {"createdFrom": at(1), "createdTo": at(5)}
    first = (await client.get(f"/v1/{name}", params={**asked, "limit": 3})).json()
    rest = await ids(client, name, **asked, limit=3, cursor=first["nextCursor"])
    assert [one["id"] for one in first["data"]] + rest == await ids(client, name, **asked)
    assert len(rest) == 1


@pytest.mark.parametrize("name", LISTS)
async def test_an_index_serves_a_list_of_a_time(client: httpx.AsyncClient, application: Application, name: str) -> None:
    database, (collection, _) = application.store.database, LISTS[name]
    async with profiled(database) as queries:
        assert len(await ids(client, name, createdFrom=at(2), createdTo=at(4))) == 2
    read = [query for query in queries if query["command"].get("aggregate") == collection]
    # The refunds and disputes of a page are read again, with their charges, by id.
    assert read[0]["docsExamined"] == 2, read[0]["planSummary"]
    assert read[0]["keysExamined"] <= 3, read[0]["planSummary"]


# Filters that no index has, with a value that nothing matches and one that everything does.
FILTERS = {
    "charges": ("status", "failed", "succeeded"),
    "events": ("type", "webhook_endpoint.disabled", None),
    "deliveries": ("state", "failing", "delivered"),
}


@pytest.mark.parametrize("name", FILTERS)
async def test_a_page_by_a_filter_without_an_index_looks_at_so_many_and_can_be_followed_by_others(
    client: httpx.AsyncClient, application: Application, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(reads, "LOOKED_AT_MAX", 4)
    field, none, all_of_them = FILTERS[name]
    everything = await ids(client, name, limit=100)
    for value, expected in ((none, []), (all_of_them, everything)):
        found: list[str] = []
        cursor, pages = None, 0
        while pages == 0 or cursor:
            asked = {"limit": 100} | {name: value for name, value in ((field, value), ("cursor", cursor)) if value}
            async with profiled(application.store.database) as queries:
                page = (await client.get(f"/v1/{name}", params=asked)).json()
            read = [query for query in queries if query["ns"].endswith(f".{name}")]
            assert max(query["docsExamined"] for query in read) <= (5 if value else len(everything)), (
                read
            )  # and where it begins
            found, cursor, pages = found + [one["id"] for one in page["data"]], page["nextCursor"], pages + 1
        assert found == expected
        assert pages >= (len(everything) // 4 if value else 1)


@pytest.mark.parametrize("bound", ["createdFrom", "createdTo"])
@pytest.mark.parametrize("name", LISTS)
async def test_a_bound_that_is_no_time_with_its_zone_is_refused_by_name(
    application: Application, name: str, bound: str
) -> None:
    async with client_of(application) as client:
        for text in ("yesterday", "1764322000", "2026-11-28T10:00:00", "0001-01-01T00:00:00Z"):
            answer = await client.get(f"/v1/{name}", params={bound: text})
            assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-fields"), text
            assert answer.json()["errors"][0]["pointer"] == bound
