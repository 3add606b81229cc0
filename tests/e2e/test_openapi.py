"""The OpenAPI documents and their pages, as a stranger meets them."""

import os
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import aiohttp
import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from order_api.outbox import charge_call_id
from shared.mongo import Client as MongoClient
from tests.e2e.conftest import order_body, running_stack, send_event_with_another_amount
from tests.waiting import DEADLINE_SECONDS
from tools.stack import Stack

HERE = Path(__file__).parent
KEY = "the-key-of-a-shop"
OF_THE_GATEWAY_ITSELF = "^/v1/test/(?!charges/|disputes/)"  # test endpoints that are about no charge


class Service(NamedTuple):
    url: str
    key: str
    list_operation: str


@pytest.fixture(scope="module")
async def stack(mongo: MongoClient, mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    name = f"test_{uuid4().hex[:16]}"
    keys = f"shop:{sha256(KEY.encode()).hexdigest()}"
    with running_stack(mongodb_uri, name, tmp_path_factory.mktemp("logs"), ORDER_API_KEYS=keys) as running:
        yield running
    for database in (name, f"{name}_gateway"):
        await mongo.drop_database(database)


@pytest.fixture(params=["order_api", "payment_gateway"])
def service(request: pytest.FixtureRequest, stack: Stack) -> Service:
    if request.param == "order_api":
        return Service(stack.order_apis[0].url, KEY, "listOrders")
    return Service(stack.gateways[0].url, stack.api_key, "listCharges")


def test_schemathesis_finds_no_defect_and_no_answer_that_is_not_documented(
    service: Service, stack: Stack, tmp_path: Path
) -> None:
    endless = "--exclude-path-regex=/stream$"
    if service.list_operation == "listOrders":
        schemathesis(service, stack, tmp_path, endless, **a_paid_order_with_a_review(service, stack))
    else:  # under faults, or a reset, it would not answer as it should
        schemathesis(service, stack, tmp_path, f"--exclude-path-regex=/stream$|{OF_THE_GATEWAY_ITSELF}")


def a_paid_order_with_a_review(service: Service, stack: Stack) -> dict[str, str]:
    """What identifies it, its review and its message, as the hooks want to be told."""
    headers = {"Authorization": f"Bearer {service.key}", "Idempotency-Key": uuid4().hex}
    url = f"{service.url}/api/orders"
    placed = httpx.post(url, json=order_body(), headers=headers, timeout=DEADLINE_SECONDS)
    order = placed.raise_for_status().json()
    assert send_event_with_another_amount(stack, order["id"]) == {"outcome": "mismatch"}
    return {"ORDER_ID": order["id"], "MESSAGE_ID": charge_call_id(order["id"]), "CODE": "event-mismatch"}


def test_schemathesis_finds_no_defect_in_the_test_endpoints(stack: Stack, tmp_path: Path) -> None:
    gateway = Service(stack.gateways[0].url, stack.api_key, "")
    reset = urllib.request.Request(
        f"{gateway.url}/v1/test/reset", method="POST", headers={"Authorization": f"Bearer {gateway.key}"}
    )
    urllib.request.urlopen(reset, timeout=60).close()  # or the clock would stop at all retries that the other run left
    schemathesis(gateway, stack, tmp_path, f"--include-path-regex={OF_THE_GATEWAY_ITSELF}")


def schemathesis(service: Service, stack: Stack, tmp_path: Path, *options: str, **given: str) -> None:
    """One run; fails with what it says. `given` is told to the hooks."""
    environment = {
        **os.environ,
        **given,
        "SERVICE_URL": service.url,
        "API_KEY": service.key,
        "WEBHOOK_SECRET": stack.webhook_secret,
        "PYTHONPATH": str(HERE.parent.parent),
        "SCHEMATHESIS_HOOKS": "tests.e2e.schemathesis_hooks",
    }
    program = str(Path(sys.executable).with_name("schemathesis"))
    config = str(HERE / "schemathesis.toml")
    found = subprocess.run(
        [program, "--no-color", "--config-file", config, "run", *options, f"{service.url}/schema/openapi.json"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        check=False,
    )
    assert found.returncode == 0, found.stdout


class Watched(NamedTuple):
    """A page, what it asked for, and what the browser did not like."""

    page: Page
    requests: list[str]
    complaints: list[str]


@pytest.fixture
async def watched(browser: Browser, service: Service) -> AsyncIterator[Watched]:
    """The page at `/schema`, once it shows operations."""
    async with await browser.new_page() as page:
        watched = Watched(page, [], [])
        page.on("request", lambda request: watched.requests.append(request.url))
        page.on("console", lambda message: watched.complaints.append(message.text))
        page.on("pageerror", lambda error: watched.complaints.append(str(error)))
        await page.goto(f"{service.url}/schema")
        await page.wait_for_selector(".opblock")
        yield watched


async def test_the_page_shows_every_operation(watched: Watched, service: Service, http: aiohttp.ClientSession) -> None:
    document = await _document(http, service)
    items = [*document["paths"].values(), *document.get("webhooks", {}).values()]
    ids = {operation["operationId"] for item in items for operation in item.values()}
    shown = await watched.page.locator(".opblock").evaluate_all("blocks => blocks.map(block => block.id)")
    assert {name.rpartition("-")[2] for name in shown} == ids


async def test_an_operation_can_be_tried_on_the_page(watched: Watched, service: Service) -> None:
    await _try(watched.page, service)
    answer = watched.page.locator(".live-responses-table .response .response-col_status")
    await expect(answer).to_have_text("200")


async def test_the_page_asks_no_other_host_and_obeys_its_own_policy(watched: Watched, service: Service) -> None:
    await _try(watched.page, service)
    await watched.page.wait_for_selector(".live-responses-table")
    elsewhere = [url for url in watched.requests if not url.startswith((f"{service.url}/", "data:"))]
    assert (elsewhere, watched.complaints) == ([], [])


async def test_the_page_forbids_the_browser_all_but_this_host(service: Service, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{service.url}/schema") as response:
        policy = response.headers["Content-Security-Policy"]
    sources = {source for rule in policy.split("; ") for source in rule.split(" ")[1:]}
    assert policy.startswith("default-src 'none'; ")
    assert sources == {"'none'", "'self'", "data:"}


async def _document(http: aiohttp.ClientSession, service: Service) -> Any:
    async with http.get(f"{service.url}/schema/openapi.json") as response:
        return await response.json()


async def _try(page: Page, service: Service) -> None:
    """Gives the key, and asks for a list."""
    await page.get_by_role("button", name="Authorize").first.click()
    await page.locator(".modal-ux input").fill(service.key)
    await page.locator(".modal-ux .auth-btn-wrapper .authorize").click()
    await page.locator(".modal-ux .btn-done").click()
    operation = page.locator(f"[id$='-{service.list_operation}']")
    await operation.locator(".opblock-summary-control").click()
    await operation.get_by_role("button", name="Try it out").click()
    await operation.get_by_role("button", name="Execute").click()
