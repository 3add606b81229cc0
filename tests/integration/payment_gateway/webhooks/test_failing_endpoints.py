"""C23, C24: an endpoint that fails for days is disabled, once, and the others are told."""

import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest
import standardwebhooks

from payment_gateway.app import Application
from payment_gateway.clock import clock as clocks
from payment_gateway.webhooks.endpoint import (
    Change,
    Endpoint,
)
from payment_gateway.webhooks.stored_endpoints import find_endpoints
from shared import wire
from shared.times import utc_now
from tests.http_double import Asked, HttpDouble, always, http_double
from tests.integration.payment_gateway.conftest import MakeApplication, create
from tests.integration.payment_gateway.webhooks.test_endpoints import add, configured_id, settle_and_deliver
from tests.waiting import until


async def fail_since(application: Application, days: float) -> None:
    since, last = utc_now() - timedelta(days=days), utc_now() - timedelta(days=1)
    await application.store.webhook_endpoints.update_many({}, {"$set": {"failing_since": since, "failed_at": last}})


async def test_an_endpoint_whose_attempts_have_all_failed_for_five_days_is_disabled_and_the_others_are_told(
    application: Application, receiver: HttpDouble
) -> None:
    receiver.answer = always(500)
    await fail_since(application, 5)
    async with http_double() as other:
        told = await add(application, f"{other.url}/hooks", "webhook_endpoint.disabled")
        await create(application)
        await settle_and_deliver(application)
        await application.deliver_webhooks.work.run_once()
        [sent] = other.asked
    standardwebhooks.Webhook(told.secret).verify(sent.body, dict(sent.headers))
    event = json.loads(sent.body)
    assert event["type"] == "webhook_endpoint.disabled"
    assert (event["data"]["state"], event["data"]["disabledReason"]) == ("disabled", "failing")
    assert event["data"]["url"] == f"{receiver.url}/hooks"
    assert "secret" not in event["data"]


async def test_one_failure_after_days_without_an_attempt_disables_nothing(
    application: Application, receiver: HttpDouble
) -> None:
    receiver.answer = always(500)
    await fail_since(application, 30)
    await application.store.webhook_endpoints.update_many({}, {"$set": {"failed_at": utc_now() - timedelta(days=29)}})
    await create(application)
    await settle_and_deliver(application)
    [endpoint] = await find_endpoints(application.store, {})
    [delivery] = await application.store.deliveries.find().to_list()
    at = delivery["attempts"][0]["at"]
    assert (endpoint.state, endpoint.failing_since, endpoint.failed_at) == ("enabled", at, at)


async def test_an_endpoint_that_fails_for_less_is_kept_and_its_failing_is_known(
    application: Application, receiver: HttpDouble
) -> None:
    receiver.answer = always(500)
    await create(application)
    await settle_and_deliver(application)
    [endpoint] = await find_endpoints(application.store, {})
    [delivery] = await application.store.deliveries.find().to_list()
    assert (endpoint.state, endpoint.failing_since) == ("enabled", delivery["attempts"][0]["at"])


async def test_a_delivery_that_is_taken_forgives_the_days_before(
    application: Application, receiver: HttpDouble
) -> None:
    await fail_since(application, 30)
    await create(application)
    await settle_and_deliver(application)
    [endpoint] = await find_endpoints(application.store, {})
    assert (endpoint.state, endpoint.failing_since) == ("enabled", None)
    assert len(receiver.asked) == 1


async def test_an_endpoint_that_says_410_many_times_at_once_is_disabled_once(
    application: Application, receiver: HttpDouble
) -> None:
    receiver.answer = always(410)
    for _ in range(20):
        await create(application)
    await settle_and_deliver(application)
    [event] = await application.store.events.find({"type": "webhook_endpoint.disabled"}).to_list()
    assert json.loads(event["raw"])["data"]["disabledReason"] == "gone"


async def test_an_endpoint_that_is_disabled_again_in_the_same_frozen_moment_is_told_of_again(
    application: Application, receiver: HttpDouble
) -> None:
    """Its event's id follows from the attempt: a frozen clock has no other time to tell two by."""
    await application.clock.change(lambda clock: clocks.frozen(clock, real=utc_now()))
    receiver.answer = always(410)
    for _ in range(2):
        await create(application)
        await settle_and_deliver(application)
        await application.change_endpoints.change("default", await configured_id(application), Change(state="enabled"))
    assert await application.store.events.count_documents({"type": "webhook_endpoint.disabled"}) == 2


async def test_enabling_forgets_why_an_endpoint_was_disabled(application: Application) -> None:
    await fail_since(application, 30)
    endpoint_id = await configured_id(application)
    off = await application.change_endpoints.change("default", endpoint_id, Change(state="disabled"))
    assert isinstance(off, Endpoint)
    assert off.disabled_reason == "merchant"
    on = await application.change_endpoints.change("default", endpoint_id, Change(state="enabled"))
    assert isinstance(on, Endpoint)
    assert (on.state, on.disabled_reason, on.failing_since) == ("enabled", None, None)


@pytest.mark.parametrize("how", ["disabled", "deleted"])
async def test_what_is_pending_for_an_endpoint_that_wants_no_more_is_cancelled_when_due(
    application: Application, receiver: HttpDouble, how: str
) -> None:
    await create(application)
    await application.settle_charges.run_once()
    endpoint_id = await configured_id(application)
    if how == "disabled":
        await application.change_endpoints.change("default", endpoint_id, Change(state="disabled"))
    else:
        assert await application.change_endpoints.delete("default", endpoint_id)
    await application.deliver_webhooks.work.run_once()
    [delivery] = await application.store.deliveries.find().to_list()
    assert (delivery["state"], receiver.asked) == ("cancelled", [])


async def test_what_the_old_url_answers_does_not_disable_the_new_one(
    application: Application, receiver: HttpDouble
) -> None:
    endpoint_id = await configured_id(application)

    async def move_and_be_gone(_asked: Asked) -> Any:
        await application.change_endpoints.change("default", endpoint_id, Change(url=f"{receiver.url}/new"))
        return await always(410)(_asked)

    receiver.answer = move_and_be_gone
    await create(application)
    await settle_and_deliver(application)
    [endpoint] = await application.store.webhook_endpoints.find().to_list()
    assert (endpoint["state"], endpoint["failing_since"]) == ("enabled", None)


async def test_an_endpoint_that_refuses_forgeries_is_not_failing(
    application: Application, receiver: HttpDouble
) -> None:
    receiver.answer = always(410)
    await create(application, scenario={"webhooks": ["bad_signature"]})
    await settle_and_deliver(application)
    [endpoint] = await application.store.webhook_endpoints.find().to_list()
    assert (endpoint["state"], endpoint["failing_since"]) == ("enabled", None)


async def test_an_endpoint_deleted_while_a_delivery_is_in_hand_harms_nobody(
    application: Application, receiver: HttpDouble
) -> None:
    async def delete_and_fail(_asked: Asked) -> Any:
        await application.store.webhook_endpoints.delete_many({})
        return await always(410)(_asked)

    receiver.answer = delete_and_fail
    await create(application)
    await settle_and_deliver(application)
    [delivery] = await application.store.deliveries.find().to_list()
    assert (delivery["state"], len(delivery["attempts"])) == ("failed", 1)


async def test_two_replicas_that_see_an_endpoint_fail_disable_it_once(
    make_application: MakeApplication, receiver: HttpDouble
) -> None:
    receiver.answer = always(410)
    async with make_application(workers=True) as one, make_application(workers=True):
        for _ in range(40):
            await create(one)

        async def all_ended() -> bool:
            """An event that was announced after the endpoint was disabled has no delivery."""
            return await one.store.deliveries.count_documents({"state": {"$in": ["failed", "cancelled"]}}) == 40 or (
                await one.store.charges.count_documents({"due_at": {"$ne": None}}) == 0
                and await one.store.deliveries.count_documents({}) > 0
                and await one.store.deliveries.count_documents({"state": "pending"}) == 0
            )

        await until(all_ended, "all deliveries ended")
        assert await one.store.events.count_documents({"type": "webhook_endpoint.disabled"}) == 1


async def test_c24_an_endpoint_that_fails_while_the_clock_advances_by_days_is_disabled_when_five_have_passed(
    make_application: MakeApplication, receiver: HttpDouble
) -> None:
    receiver.answer = always(500)
    days = (86400.0,) * 10
    async with make_application(workers=True, webhook_retry_schedule_seconds=days) as application:
        await create(application)

        async def tried() -> bool:
            return bool(receiver.asked)

        await until(tried, "the first attempt")
        await application.advance_clock(timedelta(days=8))

        announced = {"type": "webhook_endpoint.disabled"}

        async def disabled() -> bool:
            return await application.store.events.count_documents(announced) == 1

        await until(disabled, "the endpoint is disabled")
        [event] = await application.store.events.find(announced).to_list()
        data = msgspec.json.decode(json.dumps(json.loads(event["raw"])["data"]), type=wire.WebhookEndpoint)
        assert data.disabled_reason == "failing"
        assert data.failing_since is not None
        assert timedelta(days=5) <= event["created_at"] - data.failing_since < timedelta(days=6.2)


async def test_c23_an_endpoints_verdict_is_announced_before_the_attempt_is_recorded(
    application: Application, receiver: HttpDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever dies between leaves an attempt that is made again, and no endpoint that is called for ever."""
    receiver.answer = always(410)
    await add(application, f"{receiver.url}/told", "webhook_endpoint.disabled")
    await create(application)

    async def die(*_: Any) -> bool:
        raise RuntimeError

    with monkeypatch.context() as dying:
        dying.setattr(application.deliver_webhooks, "_record", die)
        await settle_and_deliver(application)
    gone = await application.store.webhook_endpoints.find_one({"state": "disabled"})
    assert gone is not None
    assert (gone["announce"], gone["due_at"]) == ([], None)
    [event] = await application.store.events.find({"type": "webhook_endpoint.disabled"}).to_list()
    assert await application.store.deliveries.count_documents({"event_id": event["_id"]}) == 1


async def test_c23_what_was_to_be_told_of_an_endpoint_is_told_by_another_gateway(
    make_application: MakeApplication, receiver: HttpDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.answer = always(410)
    async with make_application() as first, make_application() as second:
        await add(first, f"{receiver.url}/told", "webhook_endpoint.disabled")

        async def die(_found: Any) -> set[str]:
            raise RuntimeError

        monkeypatch.setattr(first.deliver_webhooks.judge, "_announce", die)
        await create(first)
        await settle_and_deliver(first)
        assert await second.store.events.count_documents({"type": "webhook_endpoint.disabled"}) == 0
        assert await second.advance_clock._first_due(None) != [None] * 4, "the clock waits for it"
        assert await second.announce_left_over.run_once() == 1
        assert await second.announce_left_over.run_once() == 0
        assert await second.store.events.count_documents({"type": "webhook_endpoint.disabled"}) == 1


async def test_c23_an_endpoint_that_was_enabled_again_meanwhile_is_another(
    application: Application, receiver: HttpDouble
) -> None:
    endpoint_id = await configured_id(application)

    async def enable_and_be_gone(_asked: Asked) -> Any:
        await application.change_endpoints.change("default", endpoint_id, Change(state="enabled"))
        return await always(410)(_asked)

    receiver.answer = enable_and_be_gone
    await create(application)
    await settle_and_deliver(application)
    [endpoint] = await application.store.webhook_endpoints.find().to_list()
    assert (endpoint["state"], endpoint["generation"]) == ("enabled", 1)
