"""How replies to POSTs that create go wrong, by a payment method's token and by a scenario."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from tests.e2e.misbehaviour.conftest import CREDENTIALS, Shop
from tests.logs import logged
from tests.waiting import until
from tools.stack import Service

TOKENS = {
    "lost": "pm_lost",
    "timeout": "pm_timeout",
    "slow": "pm_slow_reply",
    "too_many_requests": "pm_429",
    "server_error": "pm_500",
    "unavailable": "pm_503",
    "malformed_json": "pm_malformed_json",
    "wrong_reference": "pm_wrong_reference",
}


def asking(fault: str, way: str) -> dict[str, Any]:
    if way == "token":
        return {"paymentMethod": f"{TOKENS[fault]}|pm_card_visa", "scenario": {"replySeconds": 0.3}}
    return {"scenario": {"replies": [fault], "replySeconds": 0.3}}


@pytest.fixture(params=["token", "scenario"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("fault", ["lost", "timeout"])
async def test_the_connection_closes_without_an_answer_and_the_retry_finds_the_charge(
    shop: Shop, fault: str, way: str
) -> None:
    key, body = uuid4().hex, {"reference": uuid4().hex, **asking(fault, way)}
    assert (await shop.charge(key, **body)).status == 0
    [charge] = await shop.listed(f"/v1/charges?reference={body['reference']}")
    retried = await shop.charge(key, **body)
    assert (retried.status, retried.json["id"], retried.headers["idempotent-replayed"]) == (201, charge["id"], "true")


async def test_a_lost_reply_is_not_one_byte(gateway: Service) -> None:
    body = json.dumps({"amount": 1, "currency": "USD", "reference": "r", "paymentMethod": "pm_lost"}).encode()
    head = (
        f"POST /v1/charges HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {CREDENTIALS.api_key}\r\nIdempotency-Key: "
        f"{uuid4().hex}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(head.encode() + body)
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


async def test_a_timeout_is_silent_for_longer_than_the_client_waits(shop: Shop) -> None:
    key, reference = uuid4().hex, uuid4().hex
    body = {"reference": reference, "scenario": {"replies": ["timeout"], "replySeconds": 60}}
    charging = asyncio.create_task(shop.charge(key, **body))

    async def is_done() -> bool:
        return len(await shop.listed(f"/v1/charges?reference={reference}")) == 1

    await until(is_done, "the charge is there")
    assert not charging.done()
    charging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await charging


async def test_a_slow_reply_is_true_and_takes_its_time(shop: Shop, way: str) -> None:
    started = asyncio.get_running_loop().time()
    reply = await shop.charge(**asking("slow", way))
    assert asyncio.get_running_loop().time() - started >= 0.3
    assert (reply.status, reply.json["status"]) == (201, "pending")


@pytest.mark.parametrize(
    ("fault", "status", "problem"),
    [
        ("too_many_requests", 429, "rate-limited"),
        ("server_error", 500, "internal"),
        ("unavailable", 503, "overloaded"),
    ],
)
async def test_an_error_for_which_nothing_was_done(shop: Shop, fault: str, status: int, problem: str, way: str) -> None:
    key, body = uuid4().hex, {"reference": uuid4().hex, **asking(fault, way)}
    reply = await shop.charge(key, **body)
    assert (reply.status, reply.json["type"]) == (status, f"/problems/{problem}")
    assert await shop.listed(f"/v1/charges?reference={body['reference']}") == []
    retried = await shop.charge(key, **body)
    assert (retried.status, "idempotent-replayed" in retried.headers) == (201, False)


@pytest.mark.parametrize("fault", ["too_many_requests", "unavailable"])
async def test_retry_after_is_what_the_scenario_says(shop: Shop, fault: str) -> None:
    reply = await shop.charge(scenario={"replies": [fault], "retryAfterSeconds": 7})
    assert reply.headers["retry-after"] == "7"


@pytest.mark.parametrize("fault", ["too_many_requests", "unavailable"])
async def test_retry_after_may_be_the_date_until_which_to_wait(shop: Shop, fault: str) -> None:
    asked_at = datetime.now(UTC)
    reply = await shop.charge(scenario={"replies": [fault], "retryAfterSeconds": 600, "retryAfterAsDate": True})
    assert re.fullmatch(r"\w{3}, \d{2} \w{3} \d{4} [\d:]{8} GMT", reply.headers["retry-after"])
    when = parsedate_to_datetime(reply.headers["retry-after"])
    assert asked_at + timedelta(seconds=600) <= when <= datetime.now(UTC) + timedelta(seconds=601)


async def test_the_rates_make_retry_after_a_date_too(shop: Shop) -> None:
    faults = {"rates": {"reply_unavailable": 1}, "retryAfterAsDate": True}
    await shop.call("PUT", "/v1/test/faults", faults)
    try:
        reply = await shop.charge()
    finally:
        await shop.call("DELETE", "/v1/test/faults")
    assert reply.headers["retry-after"].endswith(" GMT")


async def test_malformed_json_is_the_beginning_of_the_true_body(shop: Shop, way: str) -> None:
    key, body = uuid4().hex, {"reference": uuid4().hex, **asking("malformed_json", way)}
    spoilt = await shop.charge(key, **body)
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        _ = spoilt.json
    true = await shop.charge(key, **body)
    assert (spoilt.status, true.body.startswith(spoilt.body)) == (201, True)


async def test_a_wrong_reference_is_all_that_is_wrong(shop: Shop, way: str) -> None:
    key, body = uuid4().hex, {"reference": uuid4().hex, **asking("wrong_reference", way)}
    spoilt = await shop.charge(key, **body)
    true = await shop.charge(key, **body)
    assert spoilt.json["reference"] != true.json["reference"] == body["reference"]
    assert {**spoilt.json, "reference": ""} == {**true.json, "reference": ""}


async def test_a_chain_takes_a_step_with_each_attempt(shop: Shop) -> None:
    key, body = uuid4().hex, {"reference": uuid4().hex, "paymentMethod": "pm_500|pm_429|pm_lost|pm_card_declined"}
    replies = [(await shop.charge(key, **body)).status for _ in range(5)]
    assert replies == [500, 429, 0, 201, 201]
    [charge] = await shop.listed(f"/v1/charges?reference={body['reference']}")
    assert (await shop.ended(f"/v1/charges/{charge['id']}"))["failureCode"] == "card_declined"


async def test_a_chain_without_an_outcome_stays_at_its_last_step(shop: Shop) -> None:
    key, reference = uuid4().hex, uuid4().hex
    replies = [await shop.charge(key, reference=reference, paymentMethod="pm_500|pm_lost") for _ in range(4)]
    assert [reply.status for reply in replies] == [500, 0, 0, 0]
    [charge] = await shop.listed(f"/v1/charges?reference={reference}")
    assert (await shop.ended(f"/v1/charges/{charge['id']}"))["status"] == "succeeded"


async def test_another_request_with_the_key_is_told_so_whatever_the_fault(shop: Shop) -> None:
    key = uuid4().hex
    await shop.charge(key)
    for fault in TOKENS:
        assert (await shop.charge(key, **asking(fault, "scenario"))).status == 422


async def test_a_bad_request_is_told_so_whatever_the_fault(shop: Shop) -> None:
    reply = await shop.charge(currency="XXX", paymentMethod="pm_500")
    assert (reply.status, reply.json["errors"][0]["pointer"]) == (422, "/currency")


async def test_a_scenario_that_contradicts_itself_is_refused_by_its_member(shop: Shop) -> None:
    reply = await shop.charge(scenario={"webhooks": ["early"], "settleDelaySeconds": 1})
    assert (reply.status, reply.json["errors"][0]["pointer"]) == (422, "/scenario/webhooks")


async def test_a_refund_has_replies_of_its_own(shop: Shop) -> None:
    charge = await shop.paid()
    assert (await shop.refund(charge["id"], scenario={"replies": ["unavailable"]})).status == 503
    assert await shop.listed(f"/v1/refunds?chargeId={charge['id']}") == []


async def test_a_refund_that_cannot_be_is_told_so_whatever_the_fault(shop: Shop) -> None:
    charge = await shop.paid()
    reply = await shop.refund(charge["id"], amount=10000, scenario={"replies": ["server_error"]})
    assert (reply.status, reply.json["type"]) == (409, "/problems/exceeds-paid")


async def test_no_answer_is_logged_and_counted_as_none_without_a_traceback(
    shop: Shop, gateway: Service, http: aiohttp.ClientSession
) -> None:
    start = gateway.log_file.stat().st_size
    await shop.charge(paymentMethod="pm_lost")
    async with http.get(f"{gateway.url}/metrics") as response:
        counted = await response.text()
    assert 'http_requests_total{method="POST",route="/v1/charges",status="0"}' in counted

    def answers() -> list[int]:
        lines = logged(gateway.log_file, start)
        return [line["status"] for line in lines if line["event"] == "request" and line["path"] == "/v1/charges"]

    async def is_logged() -> bool:
        return bool(answers())

    await until(is_logged, "the request is over")
    assert answers() == [0]
    assert not [line for line in logged(gateway.log_file, start) if line["level"] == "error" or "exception" in line]
