"""The HTTP API as a client meets it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
import stripe

from shared.mongo import Client, Database
from shared.signing import sign
from tests.e2e.conftest import Api, StartStack, ends, order_body, running_stack, whatever_the_provider_does
from tests.waiting import until
from tools.stack import Stack

Databases = tuple[Database, Database]


@pytest.fixture(scope="module")
def name() -> str:
    return f"test_{uuid4().hex[:16]}"


@pytest.fixture(scope="module")
async def stack(
    mongo: Client, mongodb_uri: str, name: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stack]:
    """One for all tests of this file that need no other; each looks at its own orders."""
    with running_stack(mongodb_uri, name, tmp_path_factory.mktemp("logs")) as running:
        yield running
    for database in (name, f"{name}_gateway"):
        await mongo.drop_database(database)


@pytest.fixture
def api(stack: Stack, http: aiohttp.ClientSession) -> Api:
    return Api(http, stack.order_apis[0].url)


async def test_an_order_is_paid_and_one_with_a_declined_card_fails(api: Api, stack: Stack) -> None:
    status, headers, order = await api.place(order_body(metadata={"basket": "7"}))
    assert status == 201
    assert headers["location"] == f"/api/orders/{order['id']}"
    assert headers["x-request-id"]
    assert (order["status"], order["amount"], order["metadata"]) == ("Pending", 99.99, {"basket": "7"})
    _, _, declined = await api.place(order_body(paymentMethod="pm_card_declined"))
    paid = await ends(api, order["id"], "Paid")
    failed = await ends(api, declined["id"], "Failed")
    assert [charge["state"] for charge in paid["charges"]] == ["succeeded"]
    assert [charge["failureCode"] for charge in failed["charges"]] == ["card_declined"]
    event: dict[str, Any] = {}

    async def is_judged() -> bool:  # the order is Paid a moment before the outcome of its event is stored
        [found] = (await api.call("GET", f"/api/orders/{order['id']}/events"))[2]["data"]
        event.update(found)
        return bool(event["outcome"] != "received")

    await until(is_judged, "the event has its outcome")
    assert (event["type"], event["outcome"], event["timesReceived"]) == ("payment.succeeded", "applied", 1)
    assert json.loads(event["raw"])["data"]["reference"] == order["id"]


@whatever_the_provider_does
async def test_c5_one_hundred_posts_with_one_key_to_two_processes_ten_times_over(
    start_stack: StartStack, databases: Databases
) -> None:
    connector = aiohttp.TCPConnector(limit=100)
    with start_stack(order_apis=2, RECONCILE_AFTER_SECONDS="1") as stack:
        async with aiohttp.ClientSession(connector=connector) as http:
            clients = [Api(http, service.url) for service in stack.order_apis]
            placed: dict[str, str] = {}
            for _ in range(10):
                body, key = order_body(), uuid4().hex
                answers = await asyncio.gather(*(clients[number % 2].place(body, key) for number in range(100)))
                assert [status for status, _, _ in answers] == [201] * 100
                assert len({json.dumps(answer) for _, _, answer in answers}) == 1
                assert sum(headers.get("idempotent-replayed") == "true" for _, headers, _ in answers) == 99
                placed[answers[0][2]["id"]] = body["orderNumber"]
            for order_id, order_number in placed.items():
                await ends(clients[0], order_id, "Paid")
                assert await databases[0]["orders"].count_documents({"order_number": order_number}) == 1
                assert await databases[1]["charges"].count_documents({"reference": order_id}) == 1


async def test_a_key_is_the_same_key_quoted_and_bare_and_an_amount_however_it_is_spelled(api: Api) -> None:
    body = order_body(amount=99.9)
    _, first_headers, first = await api.place(body, key="my-key")
    status, headers, again = await api.place({**body, "amount": "99.90"}, key='"my-key"')
    assert (status, again) == (201, first)
    assert headers["location"] == first_headers["location"]
    assert headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first_headers


REFUSED: list[tuple[str, Any, dict[str, Any], int, str]] = [
    ("no key", order_body(), {"key": None}, 400, "idempotency-key-missing"),
    ("empty key", order_body(), {"key": '""'}, 400, "idempotency-key-malformed"),
    ("long key", order_body(), {"key": "k" * 256}, 400, "idempotency-key-malformed"),
    ("list of keys", order_body(), {"key": "a, b"}, 400, "idempotency-key-malformed"),
    ("no body", b"", {}, 400, "malformed-json"),
    ("not JSON", b"{", {}, 400, "malformed-json"),
    ("twice the same member", b'{"amount":1,"amount":2}', {}, 400, "malformed-json"),
    ("NaN", b'{"amount":NaN}', {}, 400, "malformed-json"),
    ("not UTF-8", b'{"orderNumber":"\xff"}', {}, 400, "malformed-json"),
    ("very deep", b"[" * 30000, {}, 400, "malformed-json"),
    ("text", order_body(), {"Content-Type": "text/plain"}, 415, "unsupported-media-type"),
    ("too large", b'{"orderNumber":"' + b"x" * 70_000 + b'"}', {}, 413, "body-too-large"),
    ("null", b"null", {}, 422, "invalid-fields"),
    ("missing field", {"orderNumber": "ORD-1", "currency": "USD"}, {}, 422, "invalid-fields"),
    ("unknown field", order_body(amuont=1), {}, 422, "invalid-fields"),
    ("text for a number", order_body(amount="99,99"), {}, 422, "invalid-fields"),
    ("exponent", b'{"orderNumber":"E","amount":1e2,"currency":"USD"}', {}, 422, "invalid-fields"),
    ("zero", order_body(amount=0), {}, 422, "invalid-fields"),
    ("negative", order_body(amount=-1), {}, 422, "invalid-fields"),
    ("too many decimals", order_body(amount="1.5", currency="JPY"), {}, 422, "invalid-fields"),
    ("too much", order_body(amount=10**13), {}, 422, "invalid-fields"),
    ("currency in small letters", order_body(currency="usd"), {}, 422, "invalid-fields"),
    ("no such currency", order_body(currency="ZZZ"), {}, 422, "invalid-fields"),
    ("operator for a name", order_body(orderNumber={"$gt": ""}), {}, 422, "invalid-fields"),
    ("dot in a metadata key", order_body(metadata={"a.b": "c"}), {}, 422, "invalid-fields"),
    ("dollar metadata key", order_body(metadata={"$a": "c"}), {}, 422, "invalid-fields"),
    ("bidi order number", order_body(orderNumber="ORD\u202e1"), {}, 422, "invalid-fields"),
    ("long order number", order_body(orderNumber="x" * 65), {}, 422, "invalid-fields"),
]


async def test_bad_requests_are_refused_by_name_and_store_nothing(api: Api, mongo: Client, name: str) -> None:
    before = await mongo[name]["orders"].count_documents({})
    for case, body, headers, expected, slug in REFUSED:
        status, answer_headers, problem = await api.place(body, **headers)
        assert (status, problem["type"]) == (expected, f"/problems/{slug}"), (case, problem)
        assert answer_headers["content-type"] == "application/problem+json", case
        assert problem["instance"] == answer_headers["x-request-id"]
        if expected == 422:
            assert problem["errors"][0]["pointer"] is not None, case
    assert await mongo[name]["orders"].count_documents({}) == before
    status, _, _ = await api.place(order_body())
    assert status == 201


async def test_a_key_used_for_another_body_and_a_taken_number_are_told_apart(api: Api) -> None:
    body = order_body()
    await api.place(body, key="one")
    status, _, problem = await api.place(order_body(), key="one")
    assert (status, problem["type"]) == (422, "/problems/idempotency-key-reused")
    status, _, problem = await api.place(body, key="two")
    assert (status, problem["type"]) == (409, "/problems/order-number-taken")
    status, _, _ = await api.call("GET", problem["type"])
    assert status == 200


async def test_two_key_headers_are_refused(api: Api) -> None:
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b"), ("Content-Type", "application/json")]
    status, _, problem = await api.call("POST", "/api/orders", data=json.dumps(order_body()), headers=headers)
    assert (status, problem["type"]) == (400, "/problems/idempotency-key-malformed")


async def test_lists_are_newest_first_filtered_and_paged(api: Api) -> None:
    placed = [(await api.place(order_body(paymentMethod="pm_expired_card")))[2]["id"] for _ in range(5)]
    await ends(api, placed[-1], "Failed")
    seen: list[str] = []
    cursor = ""
    while len(seen) < 5:
        _, _, page = await api.call("GET", f"/api/orders?limit=2{cursor}")
        assert len(page["data"]) <= 2
        seen += [order["id"] for order in page["data"]]
        cursor = f"&cursor={page['nextCursor']}"
    assert seen[:5] == placed[::-1]
    _, _, whole = await api.call("GET", "/api/orders?limit=100")
    assert whole["nextCursor"] is None
    number = (await api.call("GET", f"/api/orders/{placed[0]}"))[2]["orderNumber"]
    for query, expected in (
        (f"orderNumber={number}", [placed[0]]),
        (f"orderNumber={number}&status=Paid", []),
        (f"orderNumber={number}&review=open", []),
    ):
        _, _, page = await api.call("GET", f"/api/orders?{query}")
        assert [order["id"] for order in page["data"]] == expected, query
    for query in ("limit=0", "limit=101", "limit=x", "status=Gone", "cursor=%00"):
        status, _, problem = await api.call("GET", f"/api/orders?{query}")
        assert (status, problem["type"]) == (422, "/problems/invalid-fields"), query


async def test_what_is_not_there_and_what_is_not_allowed(api: Api) -> None:
    for method, path, expected in (
        ("GET", "/api/orders/ord_nothing", 404),
        ("GET", "/api/orders/ord_nothing/events", 404),
        ("GET", "/nowhere", 404),
        ("GET", "/problems/nothing", 404),
        ("DELETE", "/api/orders", 405),
    ):
        status, headers, problem = await api.call(method, path)
        assert (status, headers["content-type"]) == (expected, "application/problem+json"), path
        assert problem["title"]
    assert (await api.call("GET", "/health/live"))[0] == 200

    async def is_ready() -> bool:  # not while the database takes longer than a second to answer
        return (await api.call("GET", "/health/ready"))[0] == 200

    await until(is_ready, "it is ready")


async def test_webhooks_forged_stale_tampered_and_replayed(api: Api, stack: Stack, http: aiohttp.ClientSession) -> None:
    _, _, order = await api.place(order_body())
    await ends(api, order["id"], "Paid")
    bearer = {"Authorization": f"Bearer {stack.api_key}"}
    async with http.get(f"{stack.gateways[0].url}/v1/events?reference={order['id']}", headers=bearer) as response:
        text = await response.text()
    raw = text.removeprefix('{"data":[').removesuffix('],"nextCursor":null}').encode()
    now = int(time.time())
    good = sign(raw, [stack.webhook_secret], now)
    assert stripe.WebhookSignature.verify_header(raw.decode(), good, stack.webhook_secret, 300)
    forged = sign(raw, ["whsec_" + "A" * 40], now)
    for signature, body in (
        (forged, raw),
        (good, raw + b" "),
        (sign(raw, [stack.webhook_secret], now - 301), raw),
        (sign(raw, [stack.webhook_secret], now + 310), raw),
        ("", raw),
        ("t=1,v1=" + "0" * 64, raw),
        ("é", raw),
    ):
        status, _, problem = await api.call(
            "POST", "/api/webhooks/payments", data=body, headers={"X-Signature": signature}
        )
        assert (status, problem["type"]) == (401, "/problems/invalid-signature"), signature
        assert set(problem) == {"type", "title", "status", "detail", "instance"}
    status, _, receipt = await api.call("POST", "/api/webhooks/payments", data=raw, headers={"X-Signature": good})
    assert (status, receipt) == (200, {"outcome": "duplicate"})
    garbage = sign(b"garbage", [stack.webhook_secret], now)
    status, _, _ = await api.call("POST", "/api/webhooks/payments", data=b"garbage", headers={"X-Signature": garbage})
    assert status == 400
    paid = (await api.call("GET", f"/api/orders/{order['id']}"))[2]
    assert len(paid["charges"]) == 1


async def test_the_gateway_shows_charges_events_and_deliveries(
    api: Api, stack: Stack, http: aiohttp.ClientSession
) -> None:
    _, _, order = await api.place(order_body())
    await ends(api, order["id"], "Paid")
    gateway = Api(http, stack.gateways[0].url)
    bearer = {"Authorization": f"Bearer {stack.api_key}"}
    _, _, charges = await gateway.call("GET", f"/v1/charges?reference={order['id']}", headers=bearer)
    [charge] = charges["data"]
    assert (charge["status"], charge["amount"], charge["reference"]) == ("succeeded", 9999, order["id"])
    assert (await gateway.call("GET", f"/v1/charges/{charge['id']}", headers=bearer))[2] == charge
    _, _, events = await gateway.call("GET", f"/v1/events?reference={order['id']}", headers=bearer)
    [event] = events["data"]
    assert (await gateway.call("GET", f"/v1/events/{event['id']}", headers=bearer))[2] == event

    async def delivered() -> bool:
        _, _, found = await gateway.call("GET", f"/v1/deliveries?eventId={event['id']}", headers=bearer)
        return bool(found["data"][0]["state"] == "delivered" and found["data"][0]["attempts"][-1]["status"] == 200)

    await until(delivered, "the delivery shows as delivered")
    status, _, problem = await gateway.call("GET", "/v1/charges")
    assert (status, problem["type"]) == (401, "/problems/unauthenticated")


async def test_c21_what_is_fetched_of_an_event_is_byte_for_byte_what_was_delivered(
    api: Api, stack: Stack, http: aiohttp.ClientSession
) -> None:
    _, _, order = await api.place(order_body())
    await ends(api, order["id"], "Paid")
    _, _, trail = await api.call("GET", f"/api/orders/{order['id']}/events")
    [delivered] = trail["data"]
    bearer = {"Authorization": f"Bearer {stack.api_key}"}
    events = f"{stack.gateways[0].url}/v1/events"
    async with http.get(f"{events}/{delivered['id']}", headers=bearer) as one:
        assert await one.text() == delivered["raw"]
    async with http.get(events, params={"reference": order["id"]}, headers=bearer) as several:
        assert await several.text() == f'{{"data":[{delivered["raw"]}],"nextCursor":null}}'


async def test_a_start_ends_with_the_address_to_open(stack: Stack) -> None:
    for service in stack.services:
        first, *_ = service.log_file.read_text().splitlines()  # there is nothing else to say before it serves
        assert (json.loads(first)["event"], json.loads(first)["url"]) == ("started", service.url)


async def test_the_api_descriptions_are_served(api: Api, stack: Stack, http: aiohttp.ClientSession) -> None:
    for client, path in ((api, "/api/orders"), (Api(http, stack.gateways[0].url), "/v1/charges")):
        status, _, description = await client.call("GET", "/schema/openapi.json")
        assert status == 200
        assert path in description["paths"]
        assert (await client.call("GET", "/schema"))[0] == 200


async def test_a_client_that_hangs_up_in_mid_body_is_no_error(api: Api, stack: Stack) -> None:
    for port, path in ((stack.order_apis[0].port, "/api/orders"), (stack.gateways[0].port, "/v1/charges")):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {stack.api_key}\r\n"
        writer.write(
            f"{head}Content-Type: application/json\r\nIdempotency-Key: k\r\nContent-Length: 100\r\n\r\n{{".encode()
        )
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        assert not await reader.read()

    async def noticed() -> bool:
        return all('"status":400' in service.log_file.read_text() for service in stack.services)

    await until(noticed, "both have noticed")
    for service in stack.services:
        text = service.log_file.read_text()
        assert "internal error" not in text
    assert (await api.call("GET", "/health/live"))[0] == 200
