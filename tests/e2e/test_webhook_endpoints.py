"""The gateway on its own, as somebody's receiver of thirty lines meets it: endpoints, secrets, resending, and any webhook
that a test wants to send.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
import standardwebhooks
import stripe
from aiohttp import web
from pymongo.errors import OperationFailure

from payment_gateway.webhooks.announce import DELIVERIES_MAX
from payment_gateway.webhooks.resend import EVENTS_MAX
from shared.mongo import Client, Collection, Database
from shared.times import rfc3339, utc_now
from tests.e2e.conftest import Api, StartStack, order_body, place_until_acknowledged
from tests.http_double import Asked, HttpDouble, always, http_double
from tests.waiting import until
from tools.process import free_port
from tools.stack import Stack

KEYS = {"one": "key-of-one", "other": "key-of-another"}
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

INTERRUPTED = 11601

Call = Callable[..., Awaitable[tuple[int, dict[str, str], Any]]]


@pytest.fixture(scope="module")
async def gateway(mongo: Client, mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The URL of a gateway that nobody but the test has to do with."""
    name = f"test_{uuid4().hex[:16]}"
    stack = Stack(
        mongodb_uri,
        Path(tmp_path_factory.mktemp("logs")),
        order_apis=[free_port()],
        gateways=[free_port()],
        environment={
            "PAYMENT_GATEWAY_DATABASE": name,
            "PAYMENT_GATEWAY_API_KEYS": ",".join(
                f"{merchant}:{sha256(key.encode()).hexdigest()}" for merchant, key in KEYS.items()
            ),
            "CHARGE_DELAY_SECONDS": "0",
            "WEBHOOK_ENDPOINT_URL": "",
        },
    )
    [service] = stack.gateways
    service.start()
    yield service.url
    service.stop()
    await mongo.drop_database(name)


@pytest.fixture
async def receiver() -> AsyncIterator[HttpDouble]:
    async with http_double() as double:
        yield double


@pytest.fixture
def call(gateway: str, http: aiohttp.ClientSession) -> Call:
    """`await call("POST", "/v1/…", {…})`; `merchant` says whose key is shown."""
    api = Api(http, gateway)

    async def asked(
        method: str, path: str, body: Any = None, *, merchant: str = "one", key: str | None = None
    ) -> tuple[int, dict[str, str], Any]:
        headers = {"Authorization": f"Bearer {KEYS[merchant]}", "Idempotency-Key": key or uuid4().hex}
        options = {} if body is None else {"json": body}
        return await api.call(method, path, headers=headers, **options)

    return asked


async def add(call: Call, url: str, **asked: Any) -> dict[str, Any]:
    status, headers, endpoint = await call("POST", "/v1/webhook-endpoints", {"url": url, **asked})
    assert status == 201, endpoint
    assert headers["location"] == f"/v1/webhook-endpoints/{endpoint['id']}"
    return dict(endpoint)


async def charge(call: Call) -> str:
    asked = {"amount": 9999, "currency": "USD", "reference": uuid4().hex}
    status, _, created = await call("POST", "/v1/charges", asked)
    assert status == 201
    return str(created["reference"])


async def received(receiver: HttpDouble, count: int) -> None:
    async def condition() -> bool:
        return len(receiver.asked) >= count

    await until(condition, f"{count} webhooks")


async def test_an_endpoint_is_shown_with_its_secret_once_and_then_without(call: Call, receiver: HttpDouble) -> None:
    endpoint = await add(call, receiver.url, eventTypes=["payment.failed"])
    assert endpoint["secret"].startswith("whsec_")
    del endpoint["secret"]
    path = f"/v1/webhook-endpoints/{endpoint['id']}"
    assert (await call("GET", path))[2] == endpoint
    assert endpoint in (await call("GET", "/v1/webhook-endpoints"))[2]["data"]
    assert (await call("PATCH", path, {"eventTypes": []}))[2] == {**endpoint, "eventTypes": []}
    assert (await call("DELETE", path))[0] == 204
    assert (await call("DELETE", path))[0] == 404
    assert (await call("GET", path))[0] == 404


async def test_endpoints_are_listed_page_by_page(call: Call) -> None:
    added = [(await add(call, f"http://127.0.0.1:1/{number}"))["id"] for number in range(5)]
    listed: list[str] = []
    path = "/v1/webhook-endpoints?limit=2"
    while path:
        page = (await call("GET", path))[2]
        listed += [one["id"] for one in page["data"]]
        path = page["nextCursor"] and f"/v1/webhook-endpoints?limit=2&cursor={page['nextCursor']}"
    assert [one for one in listed if one in added] == added[::-1]
    assert len(listed) == len(set(listed))


async def test_the_same_key_makes_one_endpoint_and_shows_the_same_secret(call: Call) -> None:
    key, asked = uuid4().hex, {"url": f"http://127.0.0.1:1/{uuid4().hex}"}
    first = await call("POST", "/v1/webhook-endpoints", asked, key=key)
    again = await call("POST", "/v1/webhook-endpoints", asked, key=key)
    assert (first[0], first[2]) == (201, again[2])
    assert again[1]["idempotent-replayed"] == "true"
    assert (await call("POST", "/v1/webhook-endpoints", {"url": "http://127.0.0.1:1/"}, key=key))[0] == 422


@pytest.mark.parametrize(
    ("asked", "pointer"),
    [
        ({}, "/url"),
        ({"url": "ftp://shop.example"}, "/url"),
        ({"url": "http://user:password@shop.example/"}, "/url"),
        ({"url": "http://169.254.169.254/latest/meta-data/"}, "/url"),
        ({"url": "http://[::ffff:169.254.169.254]/"}, "/url"),
        ({"url": "http://shop.example/" + "x" * 2048}, "/url"),
        ({"url": "http://shop.example", "eventTypes": ["payment.imagined"]}, "/eventTypes/0"),
        ({"url": "http://shop.example", "eventTypes": "payment.failed"}, "/eventTypes"),
        ({"url": "http://shop.example", "secret": "whsec_hunter2"}, "/secret"),
        ({"url": "http://shop.example", "secret": None}, "/secret"),
        ({"url": "http://shop.example", "state": "disabled"}, "/state"),
    ],
)
async def test_an_endpoint_that_cannot_be_is_refused_by_the_field(call: Call, asked: Any, pointer: str) -> None:
    status, _, problem = await call("POST", "/v1/webhook-endpoints", asked)
    assert (status, problem["type"]) == (422, "/problems/invalid-fields")
    assert problem["errors"][0]["pointer"] == pointer
    assert "hunter2" not in str(problem)


async def test_another_merchants_endpoints_and_events_are_not_there(call: Call, receiver: HttpDouble) -> None:
    endpoint = await add(call, receiver.url)
    await charge(call)
    await received(receiver, 1)
    event_id = receiver.asked[0].headers["webhook-id"]
    path = f"/v1/webhook-endpoints/{endpoint['id']}"
    for method, to, body in (
        ("GET", path, None),
        ("PATCH", path, {"state": "disabled"}),
        ("DELETE", path, None),
        ("POST", f"{path}/rotate-secret", {}),
        ("POST", f"{path}/resend", {"since": "2026-01-01T00:00:00Z"}),
        ("POST", f"/v1/events/{event_id}/resend", {}),
        ("POST", f"/v1/events/{event_id}/resend", {"endpointId": endpoint["id"]}),
    ):
        assert (await call(method, to, body, merchant="other"))[0] == 404, (method, to)
    assert (await call("GET", "/v1/webhook-endpoints", merchant="other"))[2]["data"] == []
    assert (await call("GET", path))[2]["state"] == "enabled"


async def test_deliveries_are_signed_with_the_secret_that_was_given_and_with_both_while_it_is_rotated(
    call: Call, receiver: HttpDouble
) -> None:
    endpoint = await add(call, receiver.url, secret=SECRET)
    path = f"/v1/webhook-endpoints/{endpoint['id']}/rotate-secret"
    status, _, rotated = await call("POST", path, {"overlapSeconds": 60})
    assert status == 201
    await charge(call)
    await received(receiver, 1)
    [sent] = receiver.asked
    for secret in (SECRET, rotated["secret"]):
        stripe.Webhook.construct_event(sent.body, sent.headers["X-Signature"], secret)
        standardwebhooks.Webhook(secret).verify(sent.body, dict(sent.headers))
    assert (await call("POST", path, {"overlapSeconds": 0}))[0] == 201
    await charge(call)
    await received(receiver, 2)
    sent = receiver.asked[1]
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(sent.body, sent.headers["X-Signature"], rotated["secret"])
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(rotated["secret"]).verify(sent.body, dict(sent.headers))


async def test_what_an_endpoint_has_missed_can_be_sent_to_it(call: Call, receiver: HttpDouble) -> None:
    endpoint = await add(call, receiver.url)
    path = f"/v1/webhook-endpoints/{endpoint['id']}"
    assert (await call("PATCH", path, {"state": "disabled"}))[2]["disabledReason"] == "merchant"
    reference = await charge(call)

    async def settled() -> bool:
        return len((await call("GET", f"/v1/events?reference={reference}"))[2]["data"]) == 1

    await until(settled, "the charge's event")
    since = {"since": endpoint["createdAt"]}
    status, _, problem = await call("POST", f"{path}/resend", since)
    assert (status, problem["type"]) == (409, "/problems/endpoint-disabled")
    assert (await call("PATCH", path, {"state": "enabled"}))[2]["disabledReason"] is None
    status, _, answer = await call("POST", f"{path}/resend", since)
    assert (status, answer["resent"] >= 1) == (202, True)

    async def has_it() -> bool:
        return any(json.loads(sent.body)["data"]["reference"] == reference for sent in receiver.asked)

    await until(has_it, "the event that was missed")


async def test_an_event_can_be_sent_again_as_a_forgery(call: Call, receiver: HttpDouble) -> None:
    endpoint = await add(call, receiver.url, secret=SECRET)
    await charge(call)
    await received(receiver, 1)
    event_id = receiver.asked[0].headers["webhook-id"]
    body = {"endpointId": endpoint["id"], "forgery": "tampered_body"}
    assert (await call("POST", f"/v1/events/{event_id}/resend", body))[::2] == (202, {"resent": 1, "complete": True})
    await received(receiver, 2)
    assert receiver.asked[1].body != receiver.asked[0].body
    status, _, problem = await call("POST", f"/v1/events/{event_id}/resend", {"forgery": "imagined"})
    assert (status, problem["errors"][0]["pointer"]) == (422, "/forgery")


@pytest.mark.parametrize("since", ["yesterday", "2026-01-01", "2026-01-01T00:00:00", "0001-01-01T00:00:00Z", 5, None])
async def test_what_is_no_time_is_no_time_to_resend_from(call: Call, since: Any) -> None:
    endpoint = await add(call, "http://127.0.0.1:1/")
    status, _, problem = await call("POST", f"/v1/webhook-endpoints/{endpoint['id']}/resend", {"since": since})
    assert (status, problem["errors"][0]["pointer"]) == (422, "/since")


async def test_any_body_can_be_sent_with_any_secret_time_and_id(call: Call, receiver: HttpDouble) -> None:
    receiver.answer = always(418, "short and stout")
    asked = {"url": receiver.url, "body": "not even JSON", "secret": SECRET, "timestamp": 1614265330, "id": "msg_1"}
    status, _, answer = await call("POST", "/v1/test/webhooks", {**asked, "headers": {"X-Mine": "1"}})
    [sent] = receiver.asked
    assert (status, answer["status"], answer["responseBody"], answer["error"]) == (200, 418, "short and stout", None)
    assert sent.body == b"not even JSON"
    assert (sent.headers["webhook-id"], sent.headers["webhook-timestamp"]) == ("msg_1", "1614265330")
    assert sent.headers["X-Mine"] == "1"
    assert {name: sent.headers[name] for name in answer["sent"]["headers"]} == answer["sent"]["headers"]
    with pytest.raises(stripe.SignatureVerificationError, match="outside the tolerance"):
        stripe.Webhook.construct_event(sent.body, sent.headers["X-Signature"], SECRET)


async def test_what_is_sent_is_verified_by_both_libraries_and_refused_with_another_secret(
    call: Call, receiver: HttpDouble
) -> None:
    event = {"id": "evt_1", "object": "event", "amount": 12.5, "large": 1e21, "digits": 99999999999999999999}
    for secret in (SECRET, f"whsec_{'A' * 32}"):
        await call("POST", "/v1/test/webhooks", {"url": receiver.url, "body": event, "secret": secret})
    right, wrong = receiver.asked
    assert json.loads(right.body) == event
    assert stripe.Webhook.construct_event(right.body, right.headers["X-Signature"], SECRET)
    standardwebhooks.Webhook(SECRET).verify(right.body, dict(right.headers))
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(wrong.body, wrong.headers["X-Signature"], SECRET)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(SECRET).verify(wrong.body, dict(wrong.headers))


async def test_without_a_secret_nothing_is_signed_and_a_header_of_ones_own_replaces_ours(
    call: Call, receiver: HttpDouble
) -> None:
    headers = {"content-type": "text/plain", "X-Signature": "t=1,v1=forged"}
    await call("POST", "/v1/test/webhooks", {"url": receiver.url, "body": "{}"})
    await call("POST", "/v1/test/webhooks", {"url": receiver.url, "body": "{}", "secret": "any", "headers": headers})
    unsigned, forged = receiver.asked
    assert not {"X-Signature", "webhook-id", "webhook-signature"} & set(unsigned.headers)
    assert forged.headers.getall("Content-Type") == ["text/plain"]
    assert forged.headers.getall("X-Signature") == ["t=1,v1=forged"]
    assert "webhook-signature" not in forged.headers


async def test_a_receiver_that_is_not_there_is_an_answer_too(call: Call) -> None:
    status, _, answer = await call("POST", "/v1/test/webhooks", {"url": f"http://127.0.0.1:{free_port()}/", "body": {}})
    assert (status, answer["status"]) == (200, None)
    assert "ClientConnectorError" in answer["error"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://169.254.169.254/"},
        {"url": "shop"},
        {"headers": {"X-Mine": "1\r\nX-Injected: 2"}},
        {"headers": {"X-Mine": "é"}},
        {"headers": {"X Mine": "1"}},
        {"headers": {"X-Mine": "1", "x-mine": "2"}},
        {"headers": {"Content-Length": "0"}},
        {"headers": {"Transfer-Encoding": "chunked"}},
        {"headers": {"": "1"}},
        {"id": "evt\n1", "secret": SECRET},
        {"timestamp": 10**13},
        {"timestamp": "now"},
    ],
)
async def test_what_would_be_no_request_is_not_sent(call: Call, receiver: HttpDouble, wrong: dict[str, Any]) -> None:
    status, _, problem = await call("POST", "/v1/test/webhooks", {"url": receiver.url, "body": "{}", **wrong})
    assert (status, problem["type"]) == (422, "/problems/invalid-fields")
    assert receiver.asked == []


async def test_order_api_acknowledges_that_another_endpoint_is_disabled_and_does_nothing(
    start_stack: StartStack, http: aiohttp.ClientSession
) -> None:
    async with http_double(always(410)) as gone:
        with start_stack() as stack:
            gateway = Api(http, stack.gateways[0].url)
            bearer = {"Authorization": f"Bearer {stack.api_key}"}
            added = {"url": gone.url, "eventTypes": ["payment.succeeded"]}
            key = {"Idempotency-Key": uuid4().hex}
            assert (await gateway.call("POST", "/v1/webhook-endpoints", json=added, headers=bearer | key))[0] == 201
            await place_until_acknowledged(http, lambda: stack.order_apis[0].url, order_body())
            answers: list[str] = []

            async def acknowledged() -> bool:
                told = "/v1/events?type=webhook_endpoint.disabled"
                for event in (await gateway.call("GET", told, headers=bearer))[2]["data"]:
                    found = await gateway.call("GET", f"/v1/deliveries?eventId={event['id']}", headers=bearer)
                    answers[:] = [attempt["responseBody"] for one in found[2]["data"] for attempt in one["attempts"]]
                return bool(answers)

            await until(acknowledged, "order_api has answered")
    assert [json.loads(answer)["outcome"] for answer in answers] == ["ignored"]


async def test_deliveries_in_hand_or_asked_for_again_when_the_gateway_is_killed_are_made(
    start_stack: StartStack, http: aiohttp.ClientSession, databases: tuple[Database, Database]
) -> None:
    over = asyncio.Event()

    async def hang(_asked: Asked) -> web.StreamResponse:
        await over.wait()
        return web.Response()

    async with http_double(hang) as slow:
        with start_stack(WEBHOOK_ENDPOINT_URL=slow.url) as stack:
            [service] = stack.gateways
            gateway, bearer = Api(http, service.url), {"Authorization": f"Bearer {stack.api_key}"}
            for _ in range(20):
                asked = {"amount": 9999, "currency": "USD", "reference": uuid4().hex}
                key = {"Idempotency-Key": uuid4().hex}
                assert (await gateway.call("POST", "/v1/charges", json=asked, headers=bearer | key))[0] == 201
            await received(slow, 20)
            for event_id in {sent.headers["webhook-id"] for sent in slow.asked}:
                await gateway.call("POST", f"/v1/events/{event_id}/resend", json={}, headers=bearer)
            service.kill()
            over.set()
            slow.asked.clear()
            # As if the leases of who was killed had lapsed.
            await databases[1]["deliveries"].update_many({}, {"$set": {"lease_until": None}})
            service.start()
            await received(slow, 20)
            assert len({sent.headers["webhook-id"] for sent in slow.asked}) == 20

            async def all_delivered() -> bool:
                return await databases[1]["deliveries"].count_documents({"state": {"$ne": "delivered"}}) == 0

            await until(all_delivered, "every delivery is recorded")


async def test_what_is_left_of_a_resend_when_the_gateway_is_killed_is_resent(
    start_stack: StartStack, http: aiohttp.ClientSession, databases: tuple[Database, Database]
) -> None:
    count, over, database = EVENTS_MAX * 10, asyncio.Event(), databases[1]

    async def hang(_asked: Asked) -> web.StreamResponse:
        await over.wait()
        return web.Response()

    async with http_double(hang) as slow:
        with start_stack(WEBHOOK_ENDPOINT_URL=slow.url) as stack:
            [service] = stack.gateways
            gateway, bearer = Api(http, service.url), {"Authorization": f"Bearer {stack.api_key}"}
            _, _, listed = await gateway.call("GET", "/v1/webhook-endpoints", headers=bearer)
            path, now = f"/v1/webhook-endpoints/{listed['data'][0]['id']}/resend", utc_now()
            event = {"merchant": "default", "type": "payment.succeeded", "reference": "ord_1", "raw": "{}"}
            await database["events"].insert_many(
                {**event, "_id": f"evt_{number}", "object_id": f"ch_{number}", "created_at": now}
                for number in range(count)
            )
            since = {"since": rfc3339(now)}
            async with no_insert_after(EVENTS_MAX // DELIVERIES_MAX, database["deliveries"]):
                status, _, answer = await gateway.call("POST", path, json=since, headers=bearer)
                service.kill()
            assert (status, answer) == (202, {"resent": EVENTS_MAX, "complete": False})
            assert await database["deliveries"].count_documents({}) < count
            # As if the leases of who was killed had lapsed.
            await database["resends"].update_many({}, {"$set": {"lease_until": None}})
            service.start()

            async def all_are_there() -> bool:
                return await database["deliveries"].count_documents({}) == count

            await until(all_are_there, "a delivery of each event")
            over.set()


@asynccontextmanager
async def no_insert_after(count: int, collection: Collection) -> AsyncIterator[None]:
    """The gateway's inserts into the collection fail meanwhile, but for the first `count`."""
    database = collection.database
    admin, full_name = database.client.admin, f"{database.name}.{collection.name}"
    how = {"failCommands": ["insert"], "appName": "payment_gateway", "namespace": full_name, "errorCode": INTERRUPTED}
    try:
        await admin.command("configureFailPoint", "failCommand", mode={"skip": count}, data=how)
    except OperationFailure as error:
        pytest.skip(f"this MongoDB has no failCommand (enableTestCommands): {error}")
    try:
        yield
    finally:
        await admin.command("configureFailPoint", "failCommand", mode="off")


async def test_a_receiver_that_does_not_see_why_a_signature_is_refused_is_told(
    call: Call, receiver: HttpDouble
) -> None:
    await add(call, receiver.url, secret=SECRET)
    await charge(call)
    await received(receiver, 1)
    [sent] = receiver.asked
    headers = {name: value for name, value in sent.headers.items() if name == "X-Signature"}
    asked = {"body": json.dumps(json.loads(sent.body)), "secret": SECRET, "headers": headers}
    status, _, answer = await call("POST", "/v1/test/signatures", asked)
    [verdict] = answer["verdicts"]
    assert (status, verdict["valid"], [one["wrong"] for one in verdict["mistakes"]]) == (200, False, ["bytes"])
    asked["headers"] = verdict["expected"]
    assert (await call("POST", "/v1/test/signatures", asked))[2]["verdicts"][0]["valid"]


@pytest.mark.parametrize("headers", [{}, {"X-Mine": "1"}, {"X-Signature": "1", "x-signature": "2"}])
async def test_what_is_no_signature_is_refused_by_the_field(call: Call, headers: dict[str, str]) -> None:
    asked = {"body": "{}", "secret": SECRET, "headers": headers}
    status, _, problem = await call("POST", "/v1/test/signatures", asked)
    assert (status, problem["errors"][0]["pointer"]) == (422, "/headers")


async def test_a_delivery_names_the_type_and_the_reference_of_its_event(call: Call, receiver: HttpDouble) -> None:
    endpoint = await add(call, receiver.url)
    reference = await charge(call)
    await received(receiver, 1)
    [delivery] = (await call("GET", f"/v1/deliveries?endpointId={endpoint['id']}"))[2]["data"]
    assert (delivery["eventType"], delivery["reference"]) == ("payment.succeeded", reference)
    [same] = (await call("GET", f"/v1/deliveries?endpointId={endpoint['id']}&reference={reference}"))[2]["data"]
    assert same["id"] == delivery["id"]
    assert (await call("GET", "/v1/deliveries?reference=nobody's"))[2]["data"] == []
