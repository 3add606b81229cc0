"""What /metrics says after known traffic, and what Prometheus' own tool says of it and of the alert rules."""

import json
import re
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from shared.mongo import Client
from shared.signing import sign
from tests.e2e.conftest import StartStack, order_body, running_stack
from tests.scraping import Samples, exposition, grown, needs_promtool, scrape
from tests.waiting import DEADLINE_SECONDS, until
from tools.mongod import scratch, temporary_mongod, transactions_begun
from tools.stack import Stack

OPS = Path(__file__).parents[2] / "ops"
WEBHOOKS = "/api/webhooks/payments"


@pytest.fixture(scope="module")
async def stack(mongo: Client, mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """One that does only what a test asks for: nothing is reconciled meanwhile."""
    name = f"test_{uuid4().hex[:16]}"
    with running_stack(mongodb_uri, name, tmp_path_factory.mktemp("logs"), RECONCILE_AFTER_SECONDS="600") as running:
        yield running
    for database in (name, f"{name}_gateway"):
        await mongo.drop_database(database)


async def place(http: aiohttp.ClientSession, url: str, body: dict[str, Any], key: str = "") -> str:
    headers = {"Idempotency-Key": key or uuid4().hex}
    async with http.post(f"{url}/api/orders", json=body, headers=headers) as response:
        assert response.status == 201, await response.text()
        return str((await response.json())["id"])


async def test_metrics_tell_exactly_what_happened(stack: Stack, http: aiohttp.ClientSession) -> None:
    [order_api], [gateway] = stack.order_apis, stack.gateways
    before, gateway_before = await scrape(http, order_api.url), await scrape(http, gateway.url)

    body, key = order_body(), uuid4().hex
    order_id = await place(http, order_api.url, body, key)
    assert await place(http, order_api.url, body, key) == order_id
    for _ in range(4):
        await place(http, order_api.url, order_body())
    await place(http, order_api.url, order_body(paymentMethod="pm_card_declined"))

    async def all_ended() -> bool:
        now = await scrape(http, order_api.url)
        ended = grown(before, now, 'order_api_orders_total{status="Paid"}', 'order_api_orders_total{status="Failed"}')
        return sum(ended.values()) == 6

    await until(all_ended, "five orders paid and one declined")
    await send_webhooks(stack, http, order_id)
    for path in ("/no/such/page", f"/{uuid4().hex}"):
        async with http.get(order_api.url + path) as response:
            assert response.status == 404

    names = ("order_api_", "http_requests_total")
    expected = {
        'order_api_orders_total{status="Pending"}': 6,
        'order_api_orders_total{status="Paid"}': 5,
        'order_api_orders_total{status="Failed"}': 1,
        'order_api_dispatch_attempts_total{kind="charge",result="accepted"}': 6,
        'order_api_events_total{outcome="applied",source="webhook"}': 6,
        'order_api_events_total{outcome="duplicate",source="webhook"}': 1,
        'order_api_events_total{outcome="mismatch",source="webhook"}': 1,
        'order_api_events_total{outcome="ignored",source="webhook"}': 1,
        'order_api_events_total{outcome="unmatched",source="webhook"}': 1,
        'order_api_webhooks_refused_total{reason="wrong"}': 1,
        'order_api_webhooks_refused_total{reason="stale"}': 1,
        'order_api_webhooks_refused_total{reason="malformed"}': 2,
        'order_api_webhooks_refused_total{reason="not_an_event"}': 1,
        'http_requests_total{method="POST",route="/api/orders",status="201"}': 7,
        'http_requests_total{method="POST",route="/api/webhooks/payments",status="200"}': 9,
        'http_requests_total{method="POST",route="/api/webhooks/payments",status="202"}': 1,
        'http_requests_total{method="POST",route="/api/webhooks/payments",status="400"}': 1,
        'http_requests_total{method="POST",route="/api/webhooks/payments",status="401"}': 4,
        'http_requests_total{method="GET",route="none",status="404"}': 2,
    }
    expected["order_api_time_to_paid_seconds_count"] = 5
    assert await settled(http, order_api.url, before, names, expected) == expected

    async def review_is_shown() -> bool:
        now = await scrape(http, order_api.url)
        return now.get('order_api_open_reviews{code="event-mismatch"}') == 1 and now["order_api_pending_orders"] == 0

    await until(review_is_shown, "the mismatch is shown as an open review")
    expected = {
        'payment_gateway_settled_total{kind="charge",status="succeeded"}': 5,
        'payment_gateway_settled_total{kind="charge",status="failed"}': 1,
        'payment_gateway_delivery_attempts_total{result="2xx"}': 6,
    }
    names = ("payment_gateway_settled", "payment_gateway_d")
    assert await settled(http, gateway.url, gateway_before, names, expected) == expected


async def settled(
    http: aiohttp.ClientSession, url: str, before: Samples, names: tuple[str, ...], expected: Samples
) -> Samples:
    """How the counters have grown, as soon as it is as expected: what is shown may be a moment old."""
    found: dict[str, float] = {}

    async def is_as_expected() -> bool:
        growth = grown(before, await scrape(http, url), *names)
        found.clear()
        found.update({name: grew for name, grew in growth.items() if _is_counted(name)})
        return found == expected

    with suppress(AssertionError):
        await until(is_as_expected, "the counters are as expected")
    return found


def _is_counted(name: str) -> bool:
    return ("_total{" in name or name == "order_api_time_to_paid_seconds_count") and "/metrics" not in name


async def send_webhooks(stack: Stack, http: aiohttp.ClientSession, order_id: str) -> None:
    """Four with bad signatures; then what is no event, a replay, another amount, an unknown type, an unknown order."""
    bearer = {"Authorization": f"Bearer {stack.api_key}"}
    async with http.get(f"{stack.gateways[0].url}/v1/events?reference={order_id}", headers=bearer) as response:
        raw = (await response.text()).removeprefix('{"data":[').removesuffix('],"nextCursor":null}')
    now = int(time.time())
    for signature in (
        sign(raw.encode(), ["whsec_" + "A" * 40], now),
        sign(raw.encode(), [stack.webhook_secret], now - 400),
        "",
        "v1=0",
    ):
        assert await send(http, stack, raw, signature) == 401
    event = json.loads(raw)
    unknown_order = {**event["data"], "reference": "ord_" + "0" * 32}
    for body, status in (
        ("[]", 400),
        (raw, 200),
        (json.dumps({**event, "id": "evt_1", "data": {**event["data"], "amount": 1}}), 200),
        (json.dumps({**event, "id": "evt_2", "type": "payment.dreamt"}), 200),
        (json.dumps({**event, "id": "evt_3", "data": unknown_order}), 202),
    ):
        assert await send(http, stack, body, sign(body.encode(), [stack.webhook_secret], now)) == status


async def send(http: aiohttp.ClientSession, stack: Stack, body: str, signature: str) -> int:
    url = stack.order_apis[0].url + WEBHOOKS
    async with http.post(url, data=body.encode(), headers={"X-Signature": signature}) as response:
        return response.status


async def test_metrics_answer_while_the_database_does_not(start_stack: StartStack, http: aiohttp.ClientSession) -> None:
    with temporary_mongod(below=scratch()) as mongod, start_stack(uri=mongod.uri) as stack:
        assert mongod.process is not None
        urls = [service.url for service in stack.services]
        for url in urls:
            await until(partial(says_database_is_up, http, url), "both say that it is there")
        mongod.process.send_signal(signal.SIGSTOP)
        for url in urls:
            await until(partial(says_database_is_up, http, url, expected=False), "both say so")
        mongod.process.send_signal(signal.SIGCONT)
        for url in urls:
            await until(partial(says_database_is_up, http, url), "both say that it is back")
        assert transactions_begun(mongod.uri, seconds=DEADLINE_SECONDS) == 0


async def says_database_is_up(http: aiohttp.ClientSession, url: str, *, expected: bool = True) -> bool:
    """Whether it says what is expected. What is counted in the database is shown only if the database answers; a count
    that takes too long is left out then too.
    """
    ten_seconds = aiohttp.ClientTimeout(total=10)  # Prometheus waits no longer
    async with http.get(f"{url}/metrics", timeout=ten_seconds) as response:
        text = await response.text()
    up = "\ndatabase_up 1.0\n" in text
    assert up != ("\ndatabase_up 0.0\n" in text)
    counted = "_oldest_due_age_seconds" in text
    assert up or not counted
    assert "\nprocess_cpu_seconds_total" in text
    return up and counted if expected else not up


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2", "application/openmetrics-text"),
        ("application/openmetrics-text; version=abc", "application/openmetrics-text"),
    ],
)
async def test_metrics_come_in_the_format_that_is_asked_for(
    stack: Stack, http: aiohttp.ClientSession, accept: str, content_type: str
) -> None:
    async with http.get(f"{stack.order_apis[0].url}/metrics", headers={"Accept": accept}) as response:
        text = await response.text()
        assert response.status == 200
        assert response.headers["Content-Type"].startswith(content_type)
        assert text.endswith("# EOF\n") == content_type.startswith("application/openmetrics-text")


@needs_promtool
async def test_promtool_has_nothing_to_say_against_the_metrics(stack: Stack, http: aiohttp.ClientSession) -> None:
    for service in stack.services:
        text = await exposition(http, service.url)
        assert promtool("check", "metrics", text=text) == (0, "")


@needs_promtool
@pytest.mark.parametrize(
    "command", ["check rules alerts.yml", "test rules alerts_test.yml", "check config prometheus.yml"]
)
def test_promtool_passes_the_alert_rules(command: str) -> None:
    status, output = promtool(*command.split())
    assert status == 0, output


def promtool(*arguments: str, text: str = "") -> tuple[int, str]:
    """Its exit status, and what it says."""
    ended = subprocess.run(
        ["promtool", *arguments], cwd=OPS, input=text, capture_output=True, text=True, check=False, timeout=60
    )
    return ended.returncode, ended.stdout + ended.stderr


async def test_every_metric_that_an_alert_goes_by_is_there(stack: Stack, http: aiohttp.ClientSession) -> None:
    text = "\n".join([await exposition(http, service.url) for service in stack.services])
    there = set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))
    rules = (OPS / "alerts.yml").read_text()
    expressions = " ".join(re.findall(r"\bexpr:(.*?)\n +for:", rules, re.DOTALL))
    outside_labels = re.sub(r"\{.*?\}|\b(?:by|on) \(.*?\)", "", expressions)
    named = set(re.findall(r"\b[a-z]+(?:_[a-z0-9]+)+\b(?! ?\()", outside_labels))
    assert len(named) > 15
    assert {name.removesuffix("_bucket") for name in named} <= there
    in_descriptions = re.findall(r"\b(?:order_api|payment_gateway|batch|document|leased_work|http)_[a-z_]+", rules)
    assert {name.removesuffix("_bucket") for name in in_descriptions} <= there
