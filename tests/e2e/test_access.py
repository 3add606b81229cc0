"""Who may do what and how much of it, and that nothing secret is ever shown."""

import asyncio
import os
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

import order_api.settings
import payment_gateway.settings
from shared.env import load
from shared.mongo import Client
from shared.signing import sign
from tests.e2e.conftest import Api, StartStack, ends, order_body
from tests.scraping import exposition
from tools.process import free_port
from tools.stack import Service, Stack


def hashed(merchant: str, key: str) -> str:
    return f"{merchant}:{sha256(key.encode()).hexdigest()}"


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def test_merchants_with_keys_do_not_see_each_other(start_stack: StartStack, http: aiohttp.ClientSession) -> None:
    with start_stack(ORDER_API_KEYS=f"{hashed('one', 'key one')},{hashed('other', 'key other')}") as stack:
        api = Api(http, stack.order_apis[0].url)
        mine, yours = bearer("key one"), bearer("key other")
        status, headers, order = await api.place(order_body(), **mine)
        assert status == 201
        path = f"/api/orders/{order['id']}"
        assert (await api.call("GET", path, headers=mine))[0] == 200
        assert (await api.call("GET", path, headers=yours))[0] == 404
        assert (await api.call("GET", "/api/orders", headers=yours))[2]["data"] == []
        for nobody in ({}, bearer("wrong"), {"Authorization": "Basic key one"}):
            status, headers, _ = await api.call("GET", path, headers=nobody)
            assert (status, headers["www-authenticate"]) == (401, "Bearer")


async def test_a_merchant_who_asks_too_often_is_told_when_to_come_again(
    start_stack: StartStack, http: aiohttp.ClientSession
) -> None:
    keys = f"{hashed('one', 'key one')},{hashed('other', 'key other')}"
    with start_stack(ORDER_API_KEYS=keys, ORDER_API_RATE_LIMIT_PER_SECOND="0.01") as stack:
        api = Api(http, stack.order_apis[0].url)
        body = order_body()
        assert (await api.place(body, key="k", **bearer("key one")))[0] == 201
        status, headers, problem = await api.place(body, key="k", **bearer("key one"))
        assert (status, problem["type"]) == (429, "/problems/rate-limited")
        assert 0 < int(headers["retry-after"]) <= 100
        assert (await api.place(order_body(), **bearer("key other")))[0] == 201
        assert (await api.call("GET", "/health/live"))[0] == 200
        assert (await api.call("POST", "/api/webhooks/payments", data=b"{}"))[0] == 401


def new_secret() -> str:
    return "whsec_" + b64encode(os.urandom(32)).decode()


@dataclass
class Secrets:
    """One of every secret that there is. `all` are to be looked for."""

    merchant_key: str = field(default_factory=lambda: f"sk_{uuid4().hex}")
    gateway_key: str = field(default_factory=lambda: f"gk_{uuid4().hex}")
    bare_gateway_key: str = field(default_factory=lambda: f"gk_{uuid4().hex}")
    wrong_key: str = field(default_factory=lambda: f"wk_{uuid4().hex}")
    webhook: str = field(default_factory=new_secret)
    retired_webhook: str = field(default_factory=new_secret)
    given_webhook: str = field(default_factory=new_secret)
    rotated_webhook: str = field(default_factory=new_secret)
    test_webhook: str = field(default_factory=new_secret)
    database_password: str = field(default_factory=lambda: uuid4().hex)
    token_in_url: str = field(default_factory=lambda: uuid4().hex)
    given_token: str = field(default_factory=lambda: uuid4().hex)

    def all(self) -> dict[str, str]:
        digests = {f"digest of {name}": sha256(key.encode()).hexdigest() for name, key in vars(self).items()}
        return {**vars(self), **digests}


@pytest.fixture
async def database_user(mongo: Client) -> AsyncIterator[Secrets]:
    """Secrets whose database password is that of a user who may do everything."""
    secrets = Secrets()
    await mongo.admin.command("createUser", "owner", pwd=secrets.database_password, roles=["root"])
    yield secrets
    await mongo.admin.command("dropUser", "owner")


def with_credentials(uri: str, password: str) -> str:
    return uri.replace("mongodb://", f"mongodb://owner:{password}@").replace("/?", "/?authSource=admin&")


async def test_no_secret_is_in_any_log_answer_or_metric_after_a_run_that_uses_them_all(
    start_stack: StartStack, http: aiohttp.ClientSession, mongodb_uri: str, database_user: Secrets
) -> None:
    secrets = database_user
    settings = {
        "LOG_LEVEL": "DEBUG",
        "ORDER_API_KEYS": hashed("one", secrets.merchant_key),
        "PAYMENT_GATEWAY_API_KEY": secrets.gateway_key,
        "PAYMENT_GATEWAY_API_KEYS": f"{hashed('default', secrets.gateway_key)},{secrets.bare_gateway_key}",
        "WEBHOOK_SECRETS": f"{secrets.webhook},{secrets.retired_webhook}",
        "WEBHOOK_ENDPOINT_SECRET": secrets.webhook,
    }
    answers: list[str] = []
    with start_stack(uri=with_credentials(mongodb_uri, secrets.database_password), **settings) as stack:
        gateway = stack.gateways[0]
        hook = f"{stack.order_apis[0].url}/api/webhooks/payments?token={secrets.token_in_url}"
        gateway.stop()
        gateway.environment["WEBHOOK_ENDPOINT_URL"] = hook
        gateway.start()
        signature = await _use_every_secret(stack, http, secrets, answers)
        for service in stack.services:
            answers.append(await exposition(http, service.url))
            assert service.stop() == 0
        shown = {service.log_file.name: service.log_file.read_text() for service in stack.services}
    shown["answers"] = "\n".join(answers)
    assert "delivered" in shown["payment_gateway_1.log"]
    assert "event recorded" in shown["order_api_1.log"]
    leaks = [
        f"{name} in {place}" for place, text in shown.items() for name, value in secrets.all().items() if value in text
    ]
    assert leaks == []
    assert signature not in "".join(shown.values())


async def _use_every_secret(stack: Stack, http: aiohttp.ClientSession, secrets: Secrets, answers: list[str]) -> str:
    """Everything that is asked with a secret, well and badly; what is answered is added. Returns a signature."""
    api, gateway = Api(http, stack.order_apis[0].url), Api(http, stack.gateways[0].url)

    async def call(client: Api, method: str, path: str, expected: int, **options: Any) -> Any:
        status, headers, body = await client.call(method, path, **options)
        answers.append(f"{headers} {body}")
        assert status == expected, body
        return body

    _, _, order = await api.place(order_body(), **bearer(secrets.merchant_key))
    await ends(api, order["id"], "Paid", headers=bearer(secrets.merchant_key))
    await call(api, "GET", f"/api/orders/{order['id']}/events", 200, headers=bearer(secrets.merchant_key))
    await call(api, "GET", "/api/orders", 401, headers=bearer(secrets.wrong_key))
    events = await call(gateway, "GET", "/v1/events", 200, headers=bearer(secrets.bare_gateway_key))
    await call(gateway, "POST", "/v1/charges", 401, headers=bearer(secrets.wrong_key))
    assert events["data"]
    await _use_the_secrets_of_endpoints(call, gateway, secrets, hook=f"{api._url}/api/webhooks/payments")
    for secret, body, expected in (
        (secrets.retired_webhook, b'{"id":"evt_1","type":"new","timestamp":"2026-01-01T00:00:00Z","data":{}}', 200),
        (secrets.webhook, b"garbage", 400),
        (new_secret(), b"{}", 401),
    ):
        signature = sign(body, [secret], int(time.time()))
        hook = f"/api/webhooks/payments?token={secrets.token_in_url}"
        await call(api, "POST", hook, expected, data=body, headers={"X-Signature": signature})
    for client in (api, gateway):
        paths = ("/metrics", "/schema/openapi.json", "/health/ready")
        answers += [str((await client.call("GET", path))[2]) for path in paths]
    return signature.partition("v1=")[2]


async def _use_the_secrets_of_endpoints(call: Any, gateway: Api, secrets: Secrets, *, hook: str) -> None:
    """Only the answers that make an endpoint or rotate its secret show one; they are not among those looked at."""
    key = bearer(secrets.gateway_key)
    path = "/v1/webhook-endpoints"
    asked = {"url": f"{hook}?token={secrets.given_token}", "secret": secrets.given_webhook}
    status, _, endpoint = await gateway.call("POST", path, json=asked, headers=key | {"Idempotency-Key": "one"})
    assert (status, endpoint["secret"]) == (201, secrets.given_webhook)
    path = f"{path}/{endpoint['id']}"
    rotation = {"secret": secrets.rotated_webhook}
    status, _, rotated = await gateway.call(
        "POST", f"{path}/rotate-secret", json=rotation, headers=key | {"Idempotency-Key": "two"}
    )
    assert (status, rotated["secret"]) == (201, secrets.rotated_webhook)
    await call(gateway, "POST", f"{path}/rotate-secret", 422, json=rotation, headers=key | {"Idempotency-Key": "one"})
    await call(
        gateway,
        "POST",
        f"{path}/rotate-secret",
        422,
        json={"secret": f"{secrets.test_webhook}!"},
        headers=key | {"Idempotency-Key": "three"},
    )
    answer = await call(
        gateway,
        "POST",
        "/v1/test/webhooks",
        200,
        json={"url": hook, "body": "{}", "secret": secrets.test_webhook},
        headers=key,
    )
    assert answer["status"] == 401
    # Its URL is shown to who owns it, and is a secret to everybody else: so these answers are not looked at for it.
    for method, to, body in (
        ("GET", path, None),
        ("GET", "/v1/webhook-endpoints", None),
        ("GET", "/v1/deliveries", None),
        ("PATCH", path, {"state": "disabled"}),
    ):
        found = await gateway.call(method, to, json=body, headers=key)
        shown = str(found)
        hidden = {name: value for name, value in secrets.all().items() if name not in {"token_in_url", "given_token"}}
        assert [name for name, value in hidden.items() if value in shown] == []


@pytest.mark.parametrize("module", ["order_api", "payment_gateway"])
async def test_a_start_that_fails_shows_no_secret(
    module: str, mongodb_uri: str, database_user: Secrets, tmp_path: Path
) -> None:
    secrets = database_user
    good = {
        "MONGODB_URI": with_credentials(mongodb_uri, secrets.database_password),
        "PAYMENT_GATEWAY_API_KEY": secrets.gateway_key,
        "PAYMENT_GATEWAY_API_KEYS": secrets.bare_gateway_key,
        "WEBHOOK_SECRETS": secrets.webhook,
        "WEBHOOK_ENDPOINT_URL": f"http://127.0.0.1:1/?token={secrets.token_in_url}",
        "WEBHOOK_ENDPOINT_SECRET": secrets.webhook,
    }
    wrong = [
        {"MONGODB_URI": with_credentials(mongodb_uri, f"{secrets.database_password}x")},
        {"MONGODB_URI": f"mongodb://owner:{secrets.database_password}@127.0.0.1:port"},
        {"WEBHOOK_SECRETS": f"{secrets.webhook}!", "WEBHOOK_ENDPOINT_SECRET": f"{secrets.webhook}!"},
        {"ORDER_API_KEYS": secrets.merchant_key, "PAYMENT_GATEWAY_API_KEYS": f"one:{secrets.merchant_key}"},
        {"HTTP_BODY_SECONDS": "soon"},
    ]
    for number, changes in enumerate(wrong):
        service = Service(module, free_port(), {**good, **changes}, tmp_path / f"{number}.log")
        service.launch()
        assert service.process is not None
        status = await asyncio.to_thread(service.process.wait, 60)
        said = service.log_file.read_text()
        assert status in {1, 2}, said
        assert said.startswith("cannot start: ")
        assert [name for name, value in secrets.all().items() if value in said] == []


def test_settings_do_not_show_their_secrets() -> None:
    secrets = Secrets()
    environ = {
        "MONGODB_URI": f"mongodb://owner:{secrets.database_password}@db",
        "ORDER_API_KEYS": hashed("one", secrets.merchant_key),
        "PAYMENT_GATEWAY_API_KEY": secrets.gateway_key,
        "PAYMENT_GATEWAY_API_KEYS": secrets.bare_gateway_key,
        "WEBHOOK_SECRETS": secrets.webhook,
        "WEBHOOK_ENDPOINT_SECRET": secrets.webhook,
    }
    for settings in (order_api.settings.Settings, payment_gateway.settings.Settings):
        shown = repr(load(settings, environ))
        assert [name for name, value in secrets.all().items() if value in shown] == []
