"""Deliveries: signed in both schemes, retried on the schedule, every attempt recorded, none lost."""

import asyncio
import json
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import standardwebhooks
import stripe
from aiohttp import web
from msgspec.structs import replace
from pymongo.errors import PyMongoError

from payment_gateway.app import Application
from payment_gateway.claim import claim
from payment_gateway.webhooks.send import HEADER_LENGTH_MAX, HEADERS_MAX
from shared.times import utc_now
from tests.http_double import Asked, HttpDouble, always
from tests.integration.conftest import FailCommand
from tests.integration.payment_gateway.conftest import SECRET, MakeApplication, create
from tests.waiting import until

SECONDS = timedelta(seconds=1)


async def settle(application: Application) -> None:
    await application.settle_charges.run_once()


async def deliver(application: Application) -> int:
    """One round, with everything pending due now."""
    past = utc_now() - timedelta(seconds=1)
    await application.store.deliveries.update_many({"state": "pending"}, {"$set": {"next_attempt_at": past}})
    return await application.deliver_webhooks.work.run_once()


async def delivery(application: Application) -> dict[str, Any]:
    [found] = await application.store.deliveries.find().to_list()
    return found


async def test_a_delivery_is_verified_by_stripe_and_by_standard_webhooks(
    application: Application, receiver: HttpDouble
) -> None:
    await create(application)
    await settle(application)
    await deliver(application)
    [sent] = receiver.asked
    assert stripe.WebhookSignature.verify_header(sent.body.decode(), sent.headers["X-Signature"], SECRET, 300)
    assert standardwebhooks.Webhook(SECRET).verify(sent.body, dict(sent.headers)) == json.loads(sent.body)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.WebhookSignature.verify_header(sent.body.decode() + " ", sent.headers["X-Signature"], SECRET, 300)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(SECRET).verify(sent.body + b" ", dict(sent.headers))


async def test_what_is_sent_is_byte_for_byte_what_is_stored(application: Application, receiver: HttpDouble) -> None:
    await create(application)
    await settle(application)
    await deliver(application)
    [event] = await application.store.events.find().to_list()
    assert receiver.asked[0].body.decode() == event["raw"]
    assert receiver.asked[0].headers["webhook-id"] == event["_id"]
    assert (await delivery(application))["state"] == "delivered"


async def test_a_failed_delivery_is_tried_again_with_the_same_id_until_it_is_taken(
    application: Application, receiver: HttpDouble
) -> None:
    await create(application)
    await settle(application)
    for status in (500, 404, 302):
        receiver.answer = always(status, "x" * 5000, Location="/elsewhere")
        assert await deliver(application) == 1
    receiver.answer = always(204)
    assert await deliver(application) == 1
    assert await deliver(application) == 0
    found = await delivery(application)
    assert [attempt["status"] for attempt in found["attempts"]] == [500, 404, 302, 204]
    assert [attempt["number"] for attempt in found["attempts"]] == [1, 2, 3, 4]
    assert len(found["attempts"][0]["response_body"]) == 2048
    assert found["state"] == "delivered"
    assert len({sent.headers["webhook-id"] for sent in receiver.asked}) == 1
    assert {sent.path for sent in receiver.asked} == {"/hooks"}, "a redirect is not followed"


async def test_retries_follow_the_schedule_and_then_end(
    make_application: MakeApplication, receiver: HttpDouble
) -> None:
    receiver.answer = always(500)
    async with make_application(webhook_retry_schedule_seconds=(100, 1000)) as application:
        await create(application)
        await settle(application)
        waits = []
        for _ in range(3):
            await deliver(application)
            found = await delivery(application)
            if found["next_attempt_at"]:
                waits.append((found["next_attempt_at"] - found["attempts"][-1]["at"]).total_seconds())
        assert [pytest.approx(100, rel=0.12), pytest.approx(1000, rel=0.12)] == waits, "and the moment that each took"
        assert found["state"] == "failed"
        assert await deliver(application) == 0


async def test_retry_after_is_honoured_where_it_is_later(application: Application, receiver: HttpDouble) -> None:
    receiver.answer = always(503, Retry_After="600")
    await create(application)
    await settle(application)
    await deliver(application)
    found = await delivery(application)
    assert found["next_attempt_at"] - found["attempts"][0]["at"] == pytest.approx(SECONDS * 600, abs=SECONDS * 10)


async def test_a_retry_after_that_names_a_date_is_honoured_by_real_time_and_bounded(
    application: Application, receiver: HttpDouble
) -> None:
    """C24: the receiver knows nothing of the test clock."""
    ahead = timedelta(days=30)
    await application.clock.change(
        lambda clock: replace(clock, offset_ms=ahead // timedelta(milliseconds=1), version=1)
    )
    for date, seconds in ((utc_now() + timedelta(hours=2), 7200), (utc_now() + timedelta(days=90), 86400)):
        receiver.answer = always(503, Retry_After=format_datetime(date, usegmt=True))
        await application.store.deliveries.delete_many({})
        await create(application)
        await settle(application)
        await deliver(application)
        found = await delivery(application)
        waits = found["next_attempt_at"] - found["attempts"][0]["at"]
        assert waits == pytest.approx(SECONDS * seconds, abs=SECONDS * 10)


async def test_what_an_endpoint_answers_is_kept_as_it_is(application: Application, receiver: HttpDouble) -> None:
    await create(application)
    await settle(application)
    answers = ["$version", "$$NOW", '{"$literal": 1}']
    for answer in answers:
        receiver.answer = always(500, answer)
        await deliver(application)
    assert [attempt["response_body"] for attempt in (await delivery(application))["attempts"]] == answers


async def test_an_endpoint_that_is_gone_is_called_no_more(application: Application, receiver: HttpDouble) -> None:
    receiver.answer = always(410)
    await create(application)
    await settle(application)
    await deliver(application)
    [endpoint] = await application.store.webhook_endpoints.find().to_list()
    assert endpoint["state"] == "disabled"
    await create(application)
    await settle(application)
    assert await application.store.deliveries.count_documents({}) == 1
    assert len(receiver.asked) == 1


async def test_a_receiver_that_hangs_or_is_not_there_is_a_failed_attempt(
    make_application: MakeApplication, receiver: HttpDouble
) -> None:
    async def hang(_asked: Asked) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    receiver.answer = hang
    async with make_application(webhook_timeout_seconds=2) as application:
        await create(application)
        await settle(application)
        await deliver(application)
        found = await delivery(application)
    assert (found["attempts"][0]["status"], found["attempts"][0]["failure"]) == (None, "timeout")
    assert found["state"] == "pending"
    waits = found["next_attempt_at"] - found["attempts"][0]["at"]
    assert waits > SECONDS * (2 + 4.5), "it has been waited for two seconds; the schedule's five begin then"


async def test_c23_two_gateways_never_have_one_delivery_in_hand_both(
    make_application: MakeApplication, receiver: HttpDouble
) -> None:
    async with make_application(workers=True) as one, make_application(workers=True):
        for _ in range(60):
            await create(one)

        async def all_delivered() -> bool:
            return await one.store.deliveries.count_documents({"state": "delivered"}) == 60

        await until(all_delivered, "60 deliveries")
        assert len({sent.headers["webhook-id"] for sent in receiver.asked}) == len(receiver.asked) == 60


async def test_deliveries_whose_events_cannot_be_read_are_given_back(
    application: Application, receiver: HttpDouble, fail_command: FailCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def then_no_reads(*of: Any, **how: Any) -> Any:
        claimed = await claim(*of, **how)
        await fail_command("payment_gateway", ["find"], times="always", closeConnection=True)
        return claimed

    await create(application)
    await settle(application)
    with monkeypatch.context() as broken:
        broken.setattr("payment_gateway.webhooks.deliver.claim", then_no_reads)
        broken.setattr("payment_gateway.webhooks.deliver.READ_SECONDS", 0.5)
        with pytest.raises(PyMongoError):
            await deliver(application)
    await fail_command("payment_gateway", ["find"], times=0)
    assert await deliver(application) == 1
    assert len(receiver.asked) == 1


async def test_an_attempt_that_outlives_its_lease_is_not_recorded(
    make_application: MakeApplication, receiver: HttpDouble
) -> None:
    held, release = asyncio.Event(), asyncio.Event()

    async def hold_the_first(_asked: Asked) -> web.StreamResponse:
        if not held.is_set():
            held.set()
            await release.wait()
            return web.Response(status=500)
        return web.Response(status=200)

    receiver.answer = hold_the_first
    async with make_application() as slow, make_application() as quick:
        await create(slow)
        await settle(slow)
        late = asyncio.create_task(deliver(slow))
        await held.wait()
        await slow.store.deliveries.update_many({}, {"$set": {"lease_until": utc_now() - timedelta(seconds=1)}})
        assert await deliver(quick) == 1
        release.set()
        await late
        found = await delivery(quick)
        assert [attempt["status"] for attempt in found["attempts"]] == [200]
        assert found["state"] == "delivered"


async def test_an_attempt_shows_what_was_sent_and_what_came_back(
    application: Application, receiver: HttpDouble
) -> None:
    receiver.answer = always(503, "busy", Retry_After="7")
    await create(application)
    await settle(application)
    await deliver(application)
    [sent] = receiver.asked
    [attempt] = (await delivery(application))["attempts"]
    assert attempt["sent_headers"]["X-Signature"] == sent.headers["X-Signature"]
    assert attempt["sent_headers"].items() <= set(sent.headers.items())
    assert attempt["sent_body"] is None, "the event's own bytes are kept once"
    assert attempt["response_headers"]["retry-after"] == "7"


async def test_an_attempt_shows_the_body_of_a_forgery_and_the_true_one_after_it_none(
    application: Application, receiver: HttpDouble
) -> None:
    await create(application, scenario={"webhooks": ["tampered_body", "bad_signature"]})
    await settle(application)
    for _ in range(3):
        await deliver(application)
    attempts = (await delivery(application))["attempts"]
    assert [attempt["sent_body"] for attempt in attempts] == [receiver.asked[0].body.decode(), None, None]


async def test_an_attempt_keeps_no_secret_and_no_more_of_an_answer_than_it_needs(
    application: Application, receiver: HttpDouble
) -> None:
    many = {f"X-{number}": "x" * 1000 for number in range(20)}
    receiver.answer = always(200, Set_Cookie="session=hunter2", **many)
    await create(application)
    await settle(application)
    await deliver(application)
    [attempt] = (await delivery(application))["attempts"]
    assert len(attempt["response_headers"]) == HEADERS_MAX
    assert max(map(len, attempt["response_headers"].values())) == HEADER_LENGTH_MAX + 1
    assert SECRET not in str(attempt)
    assert "hunter2" not in str(attempt)


async def test_a_header_with_a_name_or_bytes_that_a_database_would_not_take_spoils_no_attempt(
    make_application: MakeApplication,
) -> None:
    head = b"HTTP/1.1 200 OK\r\n$set: 1\r\na.b: 2\r\nX-Name: caf\xe9\r\nX-Dollar: $name\r\nContent-Length: 0\r\n\r\n"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with make_application(webhook_endpoint_url=f"http://127.0.0.1:{port}/hooks") as application:
            await create(application)
            await settle(application)
            await deliver(application)
            found = await delivery(application)
    assert found["state"] == "delivered"
    assert found["attempts"][0]["response_headers"]["x-dollar"] == "$name"
    assert found["attempts"][0]["response_headers"]["x-name"] == "caf\ufffd"
