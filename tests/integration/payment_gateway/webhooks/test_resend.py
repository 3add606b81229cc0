"""Sending events again: one, or all that an endpoint has not taken."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from pymongo.errors import BulkWriteError

from payment_gateway.app import Application
from payment_gateway.faults.rates import FORGERIES, Forgery
from payment_gateway.webhooks.endpoint import Change
from payment_gateway.webhooks.resend import EVENTS_MAX, EndpointDisabled, ForgingDisabled, Resent
from shared.not_found import NotFound
from shared.times import utc_now
from tests.http_double import Asked, HttpDouble, always
from tests.integration.payment_gateway.conftest import MakeApplication, create
from tests.integration.payment_gateway.webhooks.test_deliver import deliver
from tests.integration.payment_gateway.webhooks.test_endpoints import (
    BOTH,
    add,
    configured_id,
    settle_and_deliver,
    verified_by,
)
from tests.waiting import until

LONG_AGO = utc_now() - timedelta(days=400)


async def events_of(application: Application, count: int, receiver: HttpDouble, status: int) -> list[str]:
    """The ids of events, each of which was once tried to be delivered and answered so."""
    receiver.answer = always(status)
    for _ in range(count):
        await create(application)
    await settle_and_deliver(application)
    receiver.answer = always(200)
    return [event["_id"] async for event in application.store.events.find().sort("_id")]


def ids(receiver: HttpDouble) -> list[str]:
    return [sent.headers["webhook-id"] for sent in receiver.asked]


async def since(application: Application, when: datetime = LONG_AGO) -> Resent | NotFound | EndpointDisabled:
    return await application.resend_events.since("default", await configured_id(application), when)


async def test_a_delivered_event_is_sent_once_more_with_the_same_id(
    application: Application, receiver: HttpDouble
) -> None:
    [event_id] = await events_of(application, 1, receiver, 200)
    assert await application.resend_events.one("default", event_id) == Resent(1)
    await application.deliver_webhooks.work.run_once()
    assert ids(receiver) == [event_id, event_id]
    assert receiver.asked[0].body == receiver.asked[1].body


async def test_what_no_majority_may_have_is_not_said_to_be_resent(
    application: Application, receiver: HttpDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    [event_id] = await events_of(application, 1, receiver, 200)

    async def there_perhaps(*_documents: Any, **_options: Any) -> None:
        raise BulkWriteError({"writeErrors": [], "writeConcernErrors": [{"code": 64, "errmsg": "waiting"}]})

    monkeypatch.setattr(application.store.deliveries, "insert_many", there_perhaps)
    with pytest.raises(BulkWriteError):
        await application.resend_events.one("default", event_id)


async def test_a_pending_delivery_becomes_due_now_instead_of_being_doubled(
    application: Application, receiver: HttpDouble
) -> None:
    [event_id] = await events_of(application, 1, receiver, 500)
    assert await application.resend_events.one("default", event_id) == Resent(1)
    await application.deliver_webhooks.work.run_once()
    [delivery] = await application.store.deliveries.find().to_list()
    assert [attempt["status"] for attempt in delivery["attempts"]] == [500, 200]


@pytest.mark.parametrize("schedule", [(600,), ()])
async def test_what_is_resent_while_an_attempt_of_it_is_in_hand_is_due_when_that_has_failed(
    make_application: MakeApplication, receiver: HttpDouble, schedule: tuple[float, ...]
) -> None:
    """Whether that attempt was the last or not. It is asked for once, and so sent once more at once."""
    async with make_application(webhook_retry_schedule_seconds=schedule) as application:
        event_id = await _in_hand(application, receiver, status=500, meanwhile=application.resend_events.one)
        [delivery] = await application.store.deliveries.find().to_list()
        assert delivery["state"] == "pending"
        assert delivery["next_attempt_at"] <= await application.clock.now()
        assert await application.deliver_webhooks.work.run_once() == 1
        assert await application.deliver_webhooks.work.run_once() == 0
        assert ids(receiver) == [event_id, event_id]


@pytest.mark.parametrize("status", [200, 410])
async def test_what_is_resent_while_an_attempt_of_it_is_in_hand_is_over_when_that_ends_it(
    application: Application, receiver: HttpDouble, status: int
) -> None:
    event_id = await _in_hand(application, receiver, status=status, meanwhile=application.resend_events.one)
    assert await application.deliver_webhooks.work.run_once() == 0
    assert ids(receiver) == [event_id]


async def _in_hand(
    application: Application, receiver: HttpDouble, *, status: int, meanwhile: Callable[[str, str], Awaitable[object]]
) -> str:
    """The event whose first attempt was answered with `status` after `meanwhile`, which must resend one."""

    async def answer(asked: Asked) -> web.StreamResponse:
        receiver.answer = always(status)
        assert await meanwhile("default", asked.headers["webhook-id"]) == Resent(1)
        return web.Response(status=status)

    receiver.answer = answer
    await create(application)
    await settle_and_deliver(application)
    [sent] = receiver.asked
    return sent.headers["webhook-id"]


async def test_a_resent_event_has_all_its_retries_before_it(application: Application, receiver: HttpDouble) -> None:
    [event_id] = await events_of(application, 1, receiver, 200)
    receiver.answer = always(500)
    await application.resend_events.one("default", event_id)
    await application.deliver_webhooks.work.run_once()
    [again] = await application.store.deliveries.find({"state": "pending"}).to_list()
    assert [attempt["number"] for attempt in again["attempts"]] == [1]
    assert again["next_attempt_at"] > again["attempts"][0]["at"]


async def test_an_event_goes_to_every_endpoint_that_wants_it_or_to_the_one_that_is_named(
    application: Application, receiver: HttpDouble
) -> None:
    [event_id] = await events_of(application, 1, receiver, 200)
    await add(application, f"{receiver.url}/all")
    failures = await add(application, f"{receiver.url}/failures", "payment.failed")
    receiver.asked.clear()
    assert await application.resend_events.one("default", event_id) == Resent(2)
    await application.deliver_webhooks.work.run_once()
    assert sorted(sent.path for sent in receiver.asked) == ["/all", "/hooks"]
    receiver.asked.clear()
    assert await application.resend_events.one("default", event_id, failures.id) == Resent(1)
    await application.deliver_webhooks.work.run_once()
    assert [sent.path for sent in receiver.asked] == ["/failures"]


async def test_twenty_who_resend_an_event_at_once_send_it_once(application: Application, receiver: HttpDouble) -> None:
    [event_id] = await events_of(application, 1, receiver, 200)
    await asyncio.gather(*(application.resend_events.one("default", event_id) for _ in range(20)))
    assert await application.deliver_webhooks.work.run_once() == 1


async def test_nothing_is_sent_to_a_disabled_endpoint(application: Application, receiver: HttpDouble) -> None:
    [event_id] = await events_of(application, 1, receiver, 200)
    endpoint_id = await configured_id(application)
    await application.change_endpoints.change("default", endpoint_id, Change(state="disabled"))
    assert await application.resend_events.one("default", event_id, endpoint_id) == EndpointDisabled()
    assert await since(application) == EndpointDisabled()
    assert await application.resend_events.one("default", event_id) == Resent(0)


async def test_what_is_not_there_or_not_yours_is_not_resent(application: Application, receiver: HttpDouble) -> None:
    [event_id] = await events_of(application, 1, receiver, 200)
    endpoint_id = await configured_id(application)
    resend = application.resend_events
    assert await resend.one("default", "evt_nothing") == NotFound("event")
    assert await resend.one("other", event_id) == NotFound("event")
    assert await resend.one("default", event_id, "we_nothing") == NotFound("webhook endpoint")
    assert await resend.since("other", endpoint_id, LONG_AGO) == NotFound("webhook endpoint")


async def test_an_endpoint_gets_everything_that_it_has_not_taken_and_nothing_that_it_has(
    application: Application, receiver: HttpDouble
) -> None:
    await events_of(application, 3, receiver, 200)
    taken = set(ids(receiver))
    await events_of(application, 2, receiver, 410)  # the endpoint is disabled
    await application.change_endpoints.change("default", await configured_id(application), Change(state="enabled"))
    receiver.asked.clear()
    assert await since(application) == Resent(3)
    await application.deliver_webhooks.work.run_once()
    assert len(set(ids(receiver))) == 3, "two events, and that it was disabled"
    assert taken.isdisjoint(ids(receiver))


async def test_a_new_endpoint_can_be_given_what_was_before_it(application: Application, receiver: HttpDouble) -> None:
    await events_of(application, 3, receiver, 200)
    late = await add(application, f"{receiver.url}/late", "payment.succeeded")
    receiver.asked.clear()
    assert await application.resend_events.since("default", late.id, LONG_AGO) == Resent(3)
    await application.deliver_webhooks.work.run_once()
    assert [sent.path for sent in receiver.asked] == ["/late"] * 3


async def test_what_happened_before_is_not_resent_nor_what_the_endpoint_does_not_want(
    application: Application, receiver: HttpDouble
) -> None:
    await events_of(application, 2, receiver, 200)
    failures = await add(application, f"{receiver.url}/failures", "payment.failed")
    late = await add(application, f"{receiver.url}/late")
    assert await application.resend_events.since("default", failures.id, LONG_AGO) == Resent(0)
    assert await application.resend_events.since("default", late.id, utc_now()) == Resent(0)


async def many_events(application: Application, count: int, *, same_moment: bool = False) -> None:
    now = utc_now()
    await application.store.events.insert_many(
        {
            "_id": f"evt_{number:05}",
            "merchant": "default",
            "type": "payment.succeeded",
            "object_id": "ch_1",
            "reference": "ord_1",
            "raw": "{}",
            "created_at": now - timedelta(milliseconds=0 if same_moment else number),
        }
        for number in range(count)
    )


async def go_on(application: Application) -> int:
    return await application.resend_events.work.run_once()


async def all_are_resent_once(application: Application, count: int) -> None:
    while await go_on(application):
        pass
    assert await application.store.deliveries.count_documents({}) == count
    assert len(await application.store.deliveries.distinct("event_id")) == count
    assert await application.store.resends.count_documents({}) == 0


@pytest.mark.parametrize("same_moment", [True, False])
async def test_a_request_resends_a_bounded_number_of_events_and_the_rest_follows_by_itself(
    application: Application, *, same_moment: bool
) -> None:
    count = EVENTS_MAX * 2 + 7
    await many_events(application, count, same_moment=same_moment)
    assert await since(application) == Resent(EVENTS_MAX, complete=False)
    assert await application.store.deliveries.count_documents({}) == EVENTS_MAX
    assert await go_on(application) == 1
    assert await application.store.deliveries.count_documents({}) == EVENTS_MAX * 2
    await all_are_resent_once(application, count)
    assert await since(application) == Resent(EVENTS_MAX, complete=False), "pending ones are due, and no more are made"
    await all_are_resent_once(application, count)


async def test_as_many_events_as_a_request_resends_are_all(application: Application) -> None:
    await many_events(application, EVENTS_MAX)
    assert await since(application) == Resent(EVENTS_MAX)
    assert await go_on(application) == 0


async def test_events_that_the_endpoint_does_not_want_are_among_those_that_a_request_looks_at(
    application: Application, receiver: HttpDouble
) -> None:
    """Else a request would walk through all events for the sake of few."""
    await many_events(application, EVENTS_MAX + 1)
    failures = await add(application, f"{receiver.url}/failures", "payment.failed")
    newest = {"$set": {"type": "payment.failed"}}
    await application.store.events.update_one({"_id": "evt_00000"}, newest)
    outcome = await application.resend_events.since("default", failures.id, LONG_AGO)
    assert outcome == Resent(0, complete=False)
    assert await go_on(application) == 1
    assert await application.store.deliveries.distinct("event_id") == ["evt_00000"]


async def test_a_worker_resends_the_rest(make_application: MakeApplication) -> None:
    async with make_application(workers=True, webhook_endpoint_url="http://127.0.0.1:1/") as application:
        count = EVENTS_MAX * 3
        await many_events(application, count)
        assert await since(application) == Resent(EVENTS_MAX, complete=False)

        async def all_are_there() -> bool:
            return await application.store.deliveries.count_documents({}) == count

        await until(all_are_there, "all are resent")


class DiesError(Exception):
    """kill -9, as far as one flow can tell."""


@pytest.mark.parametrize(("name", "command"), [("deliveries", "insert_many"), ("resends", "update_one")])
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_the_rest_is_resent_by_another_when_a_replica_dies_at_any_step(
    make_application: MakeApplication, monkeypatch: pytest.MonkeyPatch, name: str, command: str, moment: str
) -> None:
    count = EVENTS_MAX * 2 + 7
    async with make_application() as first, make_application() as second:
        await many_events(first, count)
        assert await since(first) == Resent(EVENTS_MAX, complete=False)
        [claimed] = await first.resend_events._claim(1)
        collection = getattr(first.store, name)
        do = getattr(collection, command)

        async def die(*arguments: Any, **options: Any) -> None:
            if moment == "after":
                await do(*arguments, **options)
            raise DiesError

        monkeypatch.setattr(collection, command, die)
        with pytest.raises(DiesError):
            await first.resend_events._go_on(claimed)
        if (command, moment) != ("update_one", "after"):
            assert await go_on(second) == 0, "its lease has not lapsed"
            await lapse(second)
        await all_are_resent_once(second, count)


async def lapse(application: Application) -> None:
    await application.store.resends.update_many({}, {"$set": {"lease_until": utc_now() - timedelta(seconds=1)}})


async def test_whoever_has_lost_its_claim_does_not_say_how_far_it_has_come(make_application: MakeApplication) -> None:
    """What it resends all the same is made once, whoever makes it."""
    count = EVENTS_MAX * 3
    async with make_application() as slow, make_application() as quick:
        await many_events(slow, count)
        await since(slow)
        [claimed] = await slow.resend_events._claim(1)
        await lapse(slow)
        assert await go_on(quick) == 1
        [left] = await slow.store.resends.find().to_list()
        await slow.resend_events._go_on(claimed)
        assert await slow.store.resends.find().to_list() == [left]
        await all_are_resent_once(quick, count)


async def test_asking_again_from_an_earlier_time_takes_over_what_is_left(application: Application) -> None:
    """Both are one piece of work, and whoever is at it goes on from the earlier place."""
    count = EVENTS_MAX * 3
    await many_events(application, count)
    [later] = await application.store.events.find({"_id": f"evt_{EVENTS_MAX * 2 - 1:05}"}).to_list()
    assert await since(application, later["created_at"]) == Resent(EVENTS_MAX, complete=False)
    [claimed] = await application.resend_events._claim(1)
    assert await since(application) == Resent(EVENTS_MAX, complete=False)
    await application.resend_events._go_on(claimed)
    [left] = await application.store.resends.find().to_list()
    assert left["after"]["id"] == f"evt_{count - EVENTS_MAX:05}"
    await all_are_resent_once(application, count)


@pytest.mark.parametrize("end", ["disabled", "deleted"])
async def test_nothing_more_is_resent_to_an_endpoint_that_is_disabled_or_deleted_meanwhile(
    application: Application, end: str
) -> None:
    await many_events(application, EVENTS_MAX * 2)
    await since(application)
    endpoint_id, change = await configured_id(application), application.change_endpoints
    if end == "disabled":
        await change.change("default", endpoint_id, Change(state="disabled"))
    else:
        await change.delete("default", endpoint_id)
    assert await go_on(application) == 1
    assert await application.store.deliveries.count_documents({}) == EVENTS_MAX
    if end == "deleted":
        assert await application.store.resends.count_documents({}) == 0
        return
    assert await go_on(application) == 0, "not soon again"
    await change.change("default", endpoint_id, Change(state="enabled"))
    assert await go_on(application) == 1
    assert await application.store.deliveries.count_documents({}) == EVENTS_MAX * 2


async def test_what_is_left_is_resent_although_the_endpoint_is_enabled_while_that_is_put_off(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    await many_events(application, EVENTS_MAX * 2)
    await since(application)
    endpoint_id, change = await configured_id(application), application.change_endpoints
    await change.change("default", endpoint_id, Change(state="disabled"))
    look = application.resend_events._endpoint

    async def then_it_is_enabled(*of: Any) -> Any:
        found = await look(*of)
        await change.change("default", endpoint_id, Change(state="enabled"))
        return found

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(application.resend_events, "_endpoint", then_it_is_enabled)
        assert await go_on(application) == 1
    assert await go_on(application) == 1
    assert await application.store.deliveries.count_documents({}) == EVENTS_MAX * 2


async def test_a_delivery_whose_event_a_reset_took_ends(application: Application, receiver: HttpDouble) -> None:
    [event_id] = await events_of(application, 1, receiver, 200)
    await application.resend_events.one("default", event_id)
    await application.store.events.delete_many({})
    await application.deliver_webhooks.work.run_once()
    assert await application.store.deliveries.count_documents({"state": "pending"}) == 0
    assert len(receiver.asked) == 1


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_forgery_of_what_was_delivered_is_sent_once_and_then_the_true_event(
    application: Application, receiver: HttpDouble, forgery: Forgery
) -> None:
    [event_id] = await events_of(application, 1, receiver, 200)
    assert await application.resend_events.one("default", event_id, forgery=forgery) == Resent(1)
    receiver.asked.clear()
    for _ in range(3):
        await deliver(application)
    assert [verified_by(sent) for sent in receiver.asked] == [set(), BOTH]
    [again] = await application.store.deliveries.find({"forgeries": forgery}).to_list()
    assert [attempt["forgery"] for attempt in again["attempts"]] == [forgery, None]
    assert again["state"] == "delivered"


async def test_a_forgery_leaves_a_pending_delivery_of_the_event_as_it_is(
    application: Application, receiver: HttpDouble
) -> None:
    [event_id] = await events_of(application, 1, receiver, 500)
    [before] = await application.store.deliveries.find().to_list()
    assert await application.resend_events.one("default", event_id, forgery="bad_signature") == Resent(1)
    assert before in await application.store.deliveries.find().to_list()


async def test_a_forgery_goes_to_no_disabled_endpoint(application: Application, receiver: HttpDouble) -> None:
    [event_id] = await events_of(application, 1, receiver, 200)
    endpoint_id = await configured_id(application)
    await application.change_endpoints.change("default", endpoint_id, Change(state="disabled"))
    outcome = await application.resend_events.one("default", event_id, endpoint_id, "bad_signature")
    assert outcome == EndpointDisabled()


async def test_nothing_is_forged_where_test_endpoints_are_disabled(
    make_application: MakeApplication, receiver: HttpDouble
) -> None:
    async with make_application(payment_gateway_test_endpoints=False) as application:
        [event_id] = await events_of(application, 1, receiver, 200)
        outcome = await application.resend_events.one("default", event_id, forgery="bad_signature")
        assert outcome == ForgingDisabled()
        assert await application.store.deliveries.count_documents({}) == 1
