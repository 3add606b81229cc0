"""One delivery, where each attempt went, and what it sent, byte for byte."""

from typing import Any

import httpx

from payment_gateway.app import Application
from tests.http_double import HttpDouble, always
from tests.integration.payment_gateway.conftest import client_of, create
from tests.integration.payment_gateway.webhooks.test_deliver import deliver
from tests.integration.payment_gateway.webhooks.test_own_headers import changed


async def only(client: httpx.AsyncClient) -> Any:
    """The only delivery that is listed."""
    [delivery] = (await client.get("/v1/deliveries")).json()["data"]
    return delivery


async def request(client: httpx.AsyncClient, delivery_id: str, **query: Any) -> httpx.Response:
    return await client.get(f"/v1/deliveries/{delivery_id}/request", params=query)


async def test_a_delivery_is_shown_as_in_the_list(application: Application, receiver: HttpDouble) -> None:
    await create(application)
    await application.settle_charges.run_once()
    await deliver(application)
    async with client_of(application) as client:
        listed = await only(client)
        assert (await client.get(f"/v1/deliveries/{listed['id']}")).json() == listed
        assert (await client.get("/v1/deliveries/dlv_none")).status_code == 404


async def test_each_attempt_says_which_url_it_was_sent_to(application: Application, receiver: HttpDouble) -> None:
    receiver.answer = always(500)
    await create(application)
    await application.settle_charges.run_once()
    await deliver(application)
    async with client_of(application) as client:
        endpoint_id = (await only(client))["endpointId"]
        await changed(client, endpoint_id, url=f"{receiver.url}/moved")
        await deliver(application)
        urls = [attempt["url"] for attempt in (await only(client))["attempts"]]
    assert urls == [f"{receiver.url}/hooks", f"{receiver.url}/moved"]


async def test_an_attempt_of_an_earlier_version_has_null_for_its_url(
    application: Application, receiver: HttpDouble
) -> None:
    await create(application)
    await application.settle_charges.run_once()
    await deliver(application)
    await application.store.deliveries.update_many({}, {"$unset": {"attempts.0.url": ""}})
    async with client_of(application) as client:
        assert (await only(client))["attempts"][0]["url"] is None


async def test_the_request_of_a_delivery_is_what_was_sent(application: Application, receiver: HttpDouble) -> None:
    """Before any attempt it is the event; then of the last attempt, or of the one that is asked for."""
    await create(application, scenario={"webhooks": ["tampered_body"]})
    await application.settle_charges.run_once()
    async with client_of(application) as client:
        delivery = await only(client)
        before = await request(client, delivery["id"])
        await deliver(application)
        forged = await request(client, delivery["id"])
        await deliver(application)
        last, first = await request(client, delivery["id"]), await request(client, delivery["id"], attempt=1)
        event = await client.get(f"/v1/events/{delivery['eventId']}")
    sent = [one.body for one in receiver.asked]
    assert sent[0] != sent[1]
    assert [before.content, forged.content, last.content, first.content] == [sent[1], sent[0], sent[1], sent[0]]
    assert last.content == event.content
    assert last.headers["content-type"] == "application/json"


async def test_a_request_that_was_not_made_is_not_found(application: Application, receiver: HttpDouble) -> None:
    await create(application)
    await application.settle_charges.run_once()
    async with client_of(application) as client:
        delivery = await only(client)
        assert (await request(client, delivery["id"], attempt=1)).status_code == 404
        assert (await request(client, "dlv_none")).status_code == 404
        await application.store.events.delete_many({})
        assert (await request(client, delivery["id"])).status_code == 404
        for text in ("0", "-1", "1.0", "last"):
            answer = await request(client, delivery["id"], attempt=text)
            assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "attempt"), text


async def test_another_merchant_sees_no_delivery(application: Application, receiver: HttpDouble) -> None:
    await create(application)
    await application.settle_charges.run_once()
    await application.store.deliveries.update_many({}, {"$set": {"merchant": "other"}})
    found = await application.store.deliveries.find_one({})
    assert found is not None
    async with client_of(application) as client:
        assert (await client.get(f"/v1/deliveries/{found['_id']}")).status_code == 404
        assert (await request(client, found["_id"])).status_code == 404
