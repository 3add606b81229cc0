"""C11 to C17: what the outbox holds is posted until its outcome is known, and done once."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from order_api.app import Application
from order_api.dispatch_outbox import DispatchOutbox
from order_api.outbox import ATTEMPTS_MAX
from shared.times import utc_now
from tests.http_double import Answer, Asked, HttpDouble, always
from tests.integration.order_api.conftest import (
    MakeApplication,
    accept_charges,
    accepted,
    as_json,
    charge_of,
    event_bytes,
    message_of,
    place,
    received,
    stored_order,
)
from tests.waiting import until

PROBLEM = '{"type": "/problems/%s"}'


async def dispatch(application: Application) -> int:
    return await application.dispatch_outbox.work.run_once()


async def make_due(application: Application, **changes: Any) -> None:
    past = utc_now() - timedelta(seconds=1)
    await application.store.outbox.update_many({}, {"$set": {"next_attempt_at": past, **changes}})


async def test_a_message_is_posted_and_its_charge_noted_but_the_order_is_not_paid(
    application: Application, provider: HttpDouble
) -> None:
    order = await place(application)
    assert await dispatch(application) == 1
    message = await message_of(application, order)
    assert (message["state"], message["attempts"]) == ("done", 1)
    order = await stored_order(application, order.id)
    assert [charge.state for charge in order.charges] == ["pending"]
    assert order.status == "Pending"
    assert await dispatch(application) == 0
    assert len(provider.posts()) == 1


async def test_c11_two_replicas_never_claim_one_message_both(
    make_application: MakeApplication, provider: HttpDouble
) -> None:
    async with make_application() as one, make_application() as other:
        await asyncio.gather(*(place(one) for _ in range(150)))
        while sum(await asyncio.gather(dispatch(one), dispatch(other), dispatch(one))):
            pass
        keys = [asked.headers["Idempotency-Key"] for asked in provider.posts()]
        assert len(keys) == len(set(keys)) == 150


async def test_c11_no_more_is_claimed_than_there_are_free_slots(application: Application) -> None:
    for _ in range(3):
        await place(application)
    narrow = DispatchOutbox(application.store, application.gateway, slots=2)
    assert len(await narrow.work._start()) == 2
    assert await application.store.outbox.count_documents({"state": "leased"}) == 2


async def test_c11_a_claim_that_is_too_short_to_send_costs_no_attempt(
    application: Application, provider: HttpDouble
) -> None:
    order = await place(application)
    brief = DispatchOutbox(application.store, application.gateway, lease_seconds=1)
    assert await brief.work.run_once() == 1
    message = await message_of(application, order)
    assert (message["state"], message["attempts"], message["first_attempt_at"]) == ("ready", 0, None)
    assert message["settled_fence"] == message["fence"]
    assert provider.asked == []


async def test_c11_a_stale_fence_changes_nothing(make_application: MakeApplication, provider: HttpDouble) -> None:
    """One is held up past its lease; the other takes over and is told 'later'. What the first then hears is too late."""
    held, release = asyncio.Event(), asyncio.Event()

    async def hold_the_first(asked: Asked) -> web.StreamResponse:
        if held.is_set():
            return web.Response(status=503)
        held.set()
        await release.wait()
        return web.Response(status=422, text=PROBLEM % "invalid-fields")

    provider.answer = hold_the_first
    async with make_application() as slow, make_application() as quick:
        order = await place(slow)
        late = asyncio.create_task(dispatch(slow))
        await held.wait()
        await slow.store.outbox.update_many({}, {"$set": {"lease_until": utc_now() - timedelta(seconds=1)}})
        assert await dispatch(quick) == 1
        settled = await message_of(quick, order)
        release.set()
        await late
        assert await message_of(quick, order) == settled
        assert (settled["state"], settled["attempts"], settled["fence"]) == ("ready", 2, 2)
        assert (await stored_order(quick, order.id)).reviews == ()


@pytest.mark.parametrize("how", ["unsent", "cancelled"])
async def test_c11_a_claim_that_is_given_back_too_late_leaves_the_next_one_alone(
    make_application: MakeApplication, how: str
) -> None:
    async with make_application() as slow, make_application() as quick:
        order = await place(slow)
        brief = DispatchOutbox(slow.store, slow.gateway, lease_seconds=1)
        [late] = await brief._claim(1)
        await slow.store.outbox.update_many({}, {"$set": {"lease_until": utc_now() - timedelta(seconds=1)}})
        assert len(await quick.dispatch_outbox._claim(1)) == 1
        taken = await message_of(quick, order)
        await (brief._attempt(late) if how == "unsent" else brief._release(late))
        assert await message_of(quick, order) == taken


async def test_c12_every_attempt_has_the_same_key_and_the_same_bytes(
    application: Application, provider: HttpDouble
) -> None:
    order = await place(application)
    provider.answer = always(500)
    for _ in range(3):
        await make_due(application)
        await dispatch(application)
    message = await message_of(application, order)
    assert {asked.headers["Idempotency-Key"] for asked in provider.posts()} == {message["_id"]}
    assert {asked.body.decode() for asked in provider.posts()} == {message["body"]}
    assert len(provider.posts()) == 3


@pytest.mark.parametrize("already", [True, False])
async def test_c13_a_late_attempt_asks_first_and_adopts_what_is_there(
    application: Application, provider: HttpDouble, already: bool
) -> None:
    order = await place(application)
    charge = charge_of(order, status="pending")

    async def answer(asked: Asked) -> web.StreamResponse:
        if asked.method == "GET":
            found = [as_json(charge)] if already else []
            return web.json_response({"data": found, "nextCursor": None})
        return await accept_charges(asked)

    provider.answer = answer
    await make_due(application, created_at=utc_now() - timedelta(hours=23, minutes=1))
    await dispatch(application)
    assert provider.asked[0].method == "GET"
    assert provider.asked[0].path == "/v1/charges"
    assert provider.asked[0].query["reference"] == order.id
    assert len(provider.posts()) == (0 if already else 1)
    if already:
        assert [charge.id for charge in (await stored_order(application, order.id)).charges] == [charge.id]
    assert (await message_of(application, order))["state"] == "done"


async def test_c14_when_the_webhook_wins_the_message_stops_posting(
    application: Application, provider: HttpDouble
) -> None:
    order = await place(application)

    async def webhook_first(asked: Asked) -> web.StreamResponse:
        await application.record_events(received(event_bytes(charge_of(order))))
        return web.Response(status=500)

    provider.answer = webhook_first
    await dispatch(application)
    message = await message_of(application, order)
    assert (message["state"], message["last_error"]) == ("done", None)
    await make_due(application)
    assert await dispatch(application) == 0
    assert (await stored_order(application, order.id)).status == "Paid"


def other(**changes: Any) -> Answer:
    """A 201 for something else than what was asked for."""

    async def answer(asked: Asked) -> web.StreamResponse:
        return web.Response(status=201, body=accepted(asked, **changes))

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        always(401, PROBLEM % "unauthenticated"),
        always(404),
        always(429),
        always(500),
        always(503, PROBLEM % "unavailable"),
        always(302, Location="/v1/charges"),
        always(400, "not json at all"),
        always(422, '{"type": "/problems/of-a-new-kind"}'),
        always(201, "garbage"),
        always(201, "{}"),
        always(200, "{}"),
        other(reference="ord_other"),
        other(amount=1),
        other(currency="EUR"),
        other(id=7),
        other(createdAt="0001-01-01T00:00:00Z"),
    ],
)
async def test_c15_whatever_is_not_a_named_refusal_is_tried_again(
    application: Application, provider: HttpDouble, answer: Answer
) -> None:
    order = await place(application)
    provider.answer = answer
    await dispatch(application)
    message = await message_of(application, order)
    assert (message["state"], message["attempts"]) == ("ready", 1)
    assert message["next_attempt_at"] > message["updated_at"]
    assert message["last_error"]
    order = await stored_order(application, order.id)
    assert (order.status, order.charges, order.reviews) == ("Pending", (), ())


async def test_c15_a_named_refusal_is_a_dead_letter_and_a_review_and_the_order_stays_pending(
    application: Application, provider: HttpDouble
) -> None:
    order = await place(application)
    provider.answer = always(422, PROBLEM % "invalid-fields")
    await dispatch(application)
    message = await message_of(application, order)
    assert (message["state"], message["last_error"]) == ("dead", "refused with 422 invalid-fields")
    order = await stored_order(application, order.id)
    assert order.status == "Pending"
    assert [(review.code, review.event_id) for review in order.reviews] == [("dead-letter", message["_id"])]


async def test_c15_a_refusal_after_an_unknown_outcome_is_believed_only_after_a_look_up(
    application: Application, provider: HttpDouble
) -> None:
    order = await place(application)
    charge = charge_of(order, status="pending")

    async def answer(asked: Asked) -> web.StreamResponse:
        if asked.method == "GET":
            return web.json_response({"data": [as_json(charge)], "nextCursor": None})
        return web.Response(status=422, text=PROBLEM % "idempotency-key-reused")

    provider.answer = answer
    await make_due(application, attempts=1, first_attempt_at=utc_now())
    await dispatch(application)
    assert (await message_of(application, order))["state"] == "done"
    assert [one.id for one in (await stored_order(application, order.id)).charges] == [charge.id]


async def test_c15_a_message_is_given_up_after_a_bounded_number_of_attempts(
    application: Application, provider: HttpDouble
) -> None:
    order = await place(application)
    provider.answer = always(500, "$internal: {not: an expression}")
    await make_due(application, attempts=ATTEMPTS_MAX - 1, first_attempt_at=utc_now())
    await dispatch(application)
    assert (await message_of(application, order))["state"] == "dead"
    assert [review.code for review in (await stored_order(application, order.id)).reviews] == ["dead-letter"]


async def test_c15_a_wrong_api_key_for_a_while_loses_nothing(
    make_application: MakeApplication, provider: HttpDouble
) -> None:
    right = asyncio.Event()

    async def answer(asked: Asked) -> web.StreamResponse:
        if not right.is_set():
            return web.Response(status=401, text=PROBLEM % "unauthenticated")
        return await accept_charges(asked)

    provider.answer = answer
    async with make_application(workers=True) as application:
        orders = [await place(application) for _ in range(8)]
        await until(_has(provider, 5), "the breaker has had enough")
        right.set()
        for order in orders:
            await until(_is_charged(application, order.id), "charged once the key is right")


async def test_c16_a_retry_after_of_thirty_years_is_capped(application: Application, provider: HttpDouble) -> None:
    order = await place(application)
    provider.answer = always(503, Retry_After="1000000000")
    await dispatch(application)
    message = await message_of(application, order)
    wait: timedelta = message["next_attempt_at"] - message["updated_at"]
    assert timedelta(minutes=59) < wait <= timedelta(hours=1, seconds=1)


async def test_c16_the_breaker_sends_one_probe_and_a_cancelled_probe_is_free_again(
    application: Application, provider: HttpDouble
) -> None:
    for _ in range(12):
        await place(application)
    provider.answer = always(500)
    await dispatch(application)
    assert application.dispatch_outbox.breaker.is_open
    asked_before = len(provider.posts())
    assert await dispatch(application) == 0  # nothing is claimed while it cools down
    assert len(provider.posts()) == asked_before

    held = asyncio.Event()

    async def hang(asked: Asked) -> web.StreamResponse:
        held.set()
        await asyncio.Event().wait()
        raise AssertionError

    provider.answer = hang
    await make_due(application)
    await until(_permits(application), "the cool-down is over")
    probes = await application.dispatch_outbox.work._start()
    assert len(probes) == 1
    await held.wait()
    assert application.dispatch_outbox.breaker.permits(10) == 0
    probes[0].cancel()
    await asyncio.gather(*probes, return_exceptions=True)
    assert application.dispatch_outbox.breaker.permits(10) == 1


async def test_c16_while_the_breaker_is_open_waiting_costs_no_attempts(
    application: Application, provider: HttpDouble
) -> None:
    for _ in range(12):
        await place(application)
    provider.answer = always(500)
    for _ in range(5):
        await make_due(application)
        await dispatch(application)
    attempts = [message["attempts"] async for message in application.store.outbox.find()]
    assert sum(attempts) == len(provider.posts())


@pytest.fixture(autouse=True)
async def _nothing_left(application: Application) -> AsyncIterator[None]:
    """Every message is in a state that somebody will take it on from, or that is final."""
    yield
    async for message in application.store.outbox.find():
        assert message["state"] in {"ready", "done", "dead"} or message["lease_until"] is not None, message


def _has(provider: HttpDouble, posts: int) -> Any:
    async def condition() -> bool:
        return len(provider.posts()) >= posts

    return condition


def _is_charged(application: Application, order_id: str) -> Any:
    async def condition() -> bool:
        return bool((await stored_order(application, order_id)).charges)

    return condition


def _permits(application: Application) -> Any:
    async def condition() -> bool:
        return application.dispatch_outbox.breaker.permits(10) == 1

    return condition


async def test_c18_a_refund_that_is_refused_for_good_releases_its_amount_and_is_asked_for_anew(
    application: Application, provider: HttpDouble
) -> None:
    order = await place(application)
    for charge in (charge_of(order), charge_of(order)):
        await application.record_events(received(event_bytes(charge)))
    provider.answer = always(409, PROBLEM % "exceeds-paid")
    await dispatch(application)
    order = await stored_order(application, order.id)
    assert sorted((refund.state, refund.failure_code) for refund in order.refunds) == [
        ("failed", "exceeds-paid"),
        ("requested", None),
    ]
    assert {review.code for review in order.reviews} == {"second-charge", "dead-letter", "refund-failed"}
    assert await application.store.outbox.count_documents({"kind": "refund", "state": "ready"}) == 1


async def test_c18_a_refund_that_was_given_up_keeps_its_amount_reserved(
    application: Application, provider: HttpDouble
) -> None:
    order = await place(application)
    for charge in (charge_of(order), charge_of(order)):
        await application.record_events(received(event_bytes(charge)))
    provider.answer = always(500)
    await make_due(application, attempts=ATTEMPTS_MAX - 1, first_attempt_at=utc_now())
    await dispatch(application)
    order = await stored_order(application, order.id)
    assert [refund.state for refund in order.refunds] == ["requested"]
