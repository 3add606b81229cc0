"""A receiver behind something: headers of its own go with every delivery, and their values are shown to nobody."""

import json
from typing import Any
from uuid import uuid4

import httpx
import pytest
from aiohttp import web

from payment_gateway.app import Application
from shared.mongo import Document
from tests.http_double import Asked, HttpDouble, always
from tests.integration.payment_gateway.conftest import MakeApplication, client_of, create
from tests.integration.payment_gateway.webhooks.test_deliver import deliver
from tests.integration.payment_gateway.webhooks.test_endpoints import settle_and_deliver

OWN = {"Authorization": "Bearer hunter2", "$X.y": "hunter2"}  # the second is an odd name for a database


async def added(client: httpx.AsyncClient, url: str, *, key: str | None = None, **asked: Any) -> Any:
    headers = {"Idempotency-Key": key or uuid4().hex}
    answer = await client.post("/v1/webhook-endpoints", json={"url": url, **asked}, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def changed(client: httpx.AsyncClient, endpoint_id: str, **asked: Any) -> Any:
    answer = await client.patch(f"/v1/webhook-endpoints/{endpoint_id}", json=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_every_delivery_to_an_endpoint_has_the_headers_of_its_own(
    application: Application, receiver: HttpDouble
) -> None:
    receiver.answer = always(500)
    async with client_of(application) as client:
        await added(client, f"{receiver.url}/behind", headers=OWN)
    await create(application)
    await settle_and_deliver(application)
    await deliver(application)
    behind = [one for one in receiver.asked if one.path == "/behind"]
    assert len(behind) == 2
    for sent in behind:
        assert OWN.items() <= dict(sent.headers).items()
        assert {"X-Signature", "webhook-id", "Content-Type"} <= {*sent.headers}
    assert not any(OWN.keys() & {*one.headers} for one in receiver.asked if one.path != "/behind")


async def test_the_headers_of_an_endpoint_are_replaced_as_a_whole_and_taken_away(
    application: Application, receiver: HttpDouble
) -> None:
    async with client_of(application) as client:
        endpoint = await added(client, f"{receiver.url}/behind", headers=OWN)
        assert endpoint["headerNames"] == sorted(OWN)
        assert (await changed(client, endpoint["id"], eventTypes=[]))["headerNames"] == sorted(OWN)
        assert (await changed(client, endpoint["id"], headers={"X-New": "1"}))["headerNames"] == ["X-New"]
        assert (await changed(client, endpoint["id"], headers={}))["headerNames"] == []
    await create(application)
    await settle_and_deliver(application)
    [sent] = [one for one in receiver.asked if one.path == "/behind"]
    assert not {*OWN, "X-New"} & {*sent.headers}


async def test_the_value_of_a_header_is_shown_nowhere(make_application: MakeApplication, receiver: HttpDouble) -> None:
    """Not in the endpoint, not in a replay, not in an attempt, an event, or the list of recent requests."""

    async def only_one_is_gone(asked: Asked) -> web.StreamResponse:
        return web.Response(status=410 if asked.path == "/behind" else 200)

    receiver.answer = only_one_is_gone
    async with make_application() as application, client_of(application) as client:
        key = uuid4().hex
        endpoint = await added(client, f"{receiver.url}/behind", key=key, headers=OWN)
        replayed = await added(client, f"{receiver.url}/behind", key=key, headers=OWN)
        assert replayed == endpoint
        rotate = f"/v1/webhook-endpoints/{endpoint['id']}/rotate-secret"
        rotated = await client.post(rotate, json={}, headers={"Idempotency-Key": uuid4().hex})
        changed_too = await changed(client, endpoint["id"], headers=OWN)
        await create(application)
        await settle_and_deliver(application)
        paths = [
            "/v1/webhook-endpoints",
            f"/v1/webhook-endpoints/{endpoint['id']}",
            "/v1/deliveries",
            "/v1/events",
            "/v1/test/requests?limit=100",
        ]
        shown = [json.dumps(one) for one in (endpoint, replayed, rotated.json(), changed_too)]
        shown += [(await client.get(path)).text for path in paths]
        [delivery] = (await client.get("/v1/deliveries", params={"endpointId": endpoint["id"]})).json()["data"]
        assert delivery["attempts"][0]["sentHeaders"].items() >= dict.fromkeys(OWN, "…").items()
        assert "webhook_endpoint.disabled" in (await announced(application))
        assert [text for text in shown if "hunter2" in text] == []
        assert all("$X.y" in text for text in shown[:4])


async def announced(application: Application) -> set[str]:
    return {one["type"] async for one in application.store.events.find({}, {"type": 1})}


async def test_of_an_endpoint_that_is_deleted_no_header_is_kept(application: Application) -> None:
    async with client_of(application) as client:
        endpoint = await added(client, "http://127.0.0.1:1/", headers=OWN)
        await client.delete(f"/v1/webhook-endpoints/{endpoint['id']}")
    stored = await application.store.webhook_endpoints.find_one({"_id": endpoint["id"]})
    assert stored is not None
    assert "hunter2" not in str(stored)


async def test_new_headers_make_another_endpoint_of_one_that_was_failing(
    application: Application, receiver: HttpDouble
) -> None:
    receiver.answer = always(401)
    async with client_of(application) as client:
        endpoint = await added(client, f"{receiver.url}/behind")
        await create(application)
        await settle_and_deliver(application)
        path = f"/v1/webhook-endpoints/{endpoint['id']}"
        assert (await client.get(path)).json()["failingSince"] is not None
        assert (await changed(client, endpoint["id"], headers=OWN))["failingSince"] is None


@pytest.mark.parametrize(
    ("asked", "pointer"),
    [
        ({"headers": {"Content-Length": "1"}}, "/headers"),
        ({"headers": {"webhook-id": "1"}}, "/headers"),
        ({"headers": {"X-A": "1\r\nX-B: 2"}}, "/headers"),
        ({"headers": {"X-A": "1" * 1025}}, "/headers"),
        ({"headers": {f"X-{number}": "1" for number in range(11)}}, "/headers"),
        ({"headers": None}, "/headers"),
        ({"maxInFlight": 0}, "/maxInFlight"),
        ({"maxInFlight": 65}, "/maxInFlight"),
        ({"maxInFlight": None}, "/maxInFlight"),
        ({"expiresInSeconds": 9}, "/expiresInSeconds"),
        ({"expiresInSeconds": 86401}, "/expiresInSeconds"),
    ],
)
async def test_what_an_endpoint_cannot_have_is_refused_by_name(
    application: Application, asked: Document, pointer: str
) -> None:
    async with client_of(application) as client:
        endpoint = await added(client, "http://127.0.0.1:1/")
        answers = [
            await client.post(
                "/v1/webhook-endpoints",
                json={"url": "http://127.0.0.1:1/", **asked},
                headers={"Idempotency-Key": uuid4().hex},
            ),
            await client.patch(f"/v1/webhook-endpoints/{endpoint['id']}", json=asked),
        ]
    for answer in answers:
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["pointer"].startswith(pointer)


async def test_an_endpoint_of_an_earlier_version_is_as_it_was(application: Application, receiver: HttpDouble) -> None:
    newer = {"max_in_flight": "", "headers": "", "expires_at": ""}
    await application.store.webhook_endpoints.update_many({}, {"$unset": newer})
    await create(application)
    await settle_and_deliver(application)
    assert len(receiver.asked) == 1
    async with client_of(application) as client:
        [endpoint] = (await client.get("/v1/webhook-endpoints")).json()["data"]
        assert (endpoint["maxInFlight"], endpoint["headerNames"], endpoint["expiresAt"]) == (64, [], None)
        assert (await changed(client, endpoint["id"], maxInFlight=2))["maxInFlight"] == 2
