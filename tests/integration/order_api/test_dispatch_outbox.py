"""C11 to C17: what the outbox holds is posted until its outcome is known, and done once."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from aiohttp import web

from order_api.app import Application
from order_api.breaker import Breaker
from order_api.calls import ATTEMPTS_MAX, GIVING_BACK_TRIES, Call, Unavailable
from order_api.dispatch_outbox import DispatchOutbox
from order_api.gateway_client import GatewayUnavailableError
from order_api.money import ExceedsPaid, sums
from order_api.order import Order
from order_api.views import order_view
from shared.documents import Verdict
from shared.idempotency import Answer as Replayable
from shared.times import http_date, utc_now
from tests.flood import ENDLESS, flooding
from tests.http_double import Answer, Asked, HttpDouble, always
from tests.integration.order_api.conftest import (
    MakeApplication,
    accept_charges,
    accept_everything,
    accepted,
    as_json,
    calls_of,
    charge_call_of,
    charge_of,
    declined,
    dispute_of,
    event_bytes,
    events_of,
    make_due,
    paid,
    pay_again,
    place,
    received,
    refund,
    refund_by_hand,
    refund_of,
    stored_order,
)
from tests.integration.order_api.test_reconcile import serving
from tests.waiting import until

PROBLEM = '{"type": "/problems/%s"}'
NESTED = msgspec.Raw(b"[" * 100_000 + b"]" * 100_000)


async def dispatch(application: Application) -> int:
    return await application.dispatch_outbox.work.run_once()


async def test_a_call_is_posted_and_its_charge_noted_but_the_order_is_not_paid(
    application: Application, provider: HttpDouble
) -> None:
    order = await place(application)
    assert await dispatch(application) == 1
    call = await charge_call_of(application, order)
    assert (call["state"], call["attempts"]) == ("done", 1)
    order = await stored_order(application, order.id)
    assert [charge.state for charge in order.charges] == ["pending"]
    assert order.status == "Pending"
    assert await dispatch(application) == 0
    assert len(provider.posts()) == 1


async def test_c11_two_replicas_never_claim_one_call_twice(
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
    narrow = DispatchOutbox(application.store, application.gateway, application.record_events, slots=2)
    assert len(await narrow.work._start()) == 2
    assert sum(call["claim"] is not None for call in await calls_of(application)) == 2


async def test_c11_a_claim_that_is_too_short_to_send_costs_no_attempt(
    application: Application, provider: HttpDouble
) -> None:
    order = await place(application)
    brief = DispatchOutbox(application.store, application.gateway, application.record_events, lease_seconds=1)
    assert await brief.work.run_once() == 1
    call = await charge_call_of(application, order)
    assert (call["state"], call["attempts"], call["first_attempt_at"]) == ("open", 0, None)
    assert call["settled_claim"] is not None
    assert call["claim"] is None
    assert provider.asked == []


async def test_c11_a_claim_that_was_passed_changes_nothing(
    make_application: MakeApplication, provider: HttpDouble
) -> None:
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
        await make_due(slow)  # the lease is over
        assert await dispatch(quick) == 1
        settled = await charge_call_of(quick, order)
        release.set()
        await late
        assert await charge_call_of(quick, order) == settled
        assert (settled["state"], settled["attempts"], settled["claim"]) == ("open", 2, None)
        assert (await stored_order(quick, order.id)).reviews == ()


@pytest.mark.parametrize("how", ["unsent", "cancelled"])
async def test_c11_a_claim_that_is_given_back_too_late_leaves_the_next_one_alone(
    make_application: MakeApplication, how: str
) -> None:
    async with make_application() as slow, make_application() as quick:
        order = await place(slow)
        brief = DispatchOutbox(slow.store, slow.gateway, slow.record_events, lease_seconds=1)
        [late] = await brief._claim(1)
        await make_due(slow)  # the lease is over
        assert len(await quick.dispatch_outbox._claim(1)) == 1
        taken = await charge_call_of(quick, order)
        await (brief._attempt(late) if how == "unsent" else brief._release(late))
        assert await charge_call_of(quick, order) == taken


async def test_c12_every_attempt_has_the_same_key_and_the_same_bytes(
    application: Application, provider: HttpDouble
) -> None:
    order = await place(application)
    provider.answer = always(500)
    for _ in range(3):
        await make_due(application)
        await dispatch(application)
    call = await charge_call_of(application, order)
    assert {asked.headers["Idempotency-Key"] for asked in provider.posts()} == {call["id"]}
    assert {asked.body.decode() for asked in provider.posts()} == {call["body"]}
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
    assert (await charge_call_of(application, order))["state"] == "done"


async def test_c14_when_the_webhook_wins_the_message_stops_posting(
    application: Application, provider: HttpDouble
) -> None:
    order = await place(application)

    async def webhook_first(asked: Asked) -> web.StreamResponse:
        await application.record_events(received(event_bytes(charge_of(order))))
        return web.Response(status=500)

    provider.answer = webhook_first
    await dispatch(application)
    call = await charge_call_of(application, order)
    assert (call["state"], call["last_error"]) == ("done", None)
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
        other(id="x" * 1_000_000),
        always(201, "[" * 100_000 + "]" * 100_000),
        other(metadata={"deep": NESTED}),
        other(unknown=NESTED),
        always(422, '{"type": %s}' % ("[" * 100_000)),
        always(422, '{"detail": %s, "type": "/problems/invalid-fields"}' % ("[" * 100_000 + "]" * 100_000)),
        always(201, '"\\ud800"'),
        always(201, "1" * 1_000_000),
    ],
)
async def test_c15_whatever_is_not_a_named_refusal_is_tried_again(
    application: Application, provider: HttpDouble, answer: Answer
) -> None:
    order = await place(application)
    provider.answer = answer
    await dispatch(application)
    call = await charge_call_of(application, order)
    assert (call["state"], call["attempts"]) == ("open", 1)
    assert call["due_at"] > call["updated_at"]
    assert call["last_error"]
    order = await stored_order(application, order.id)
    assert (order.status, order.charges, order.reviews) == ("Pending", (), ())


@pytest.mark.parametrize("code", ["invalid-fields", "idempotency-key-reused"])
async def test_c15_a_named_refusal_ends_the_call_and_the_order_has_failed_and_says_why(
    application: Application, provider: HttpDouble, code: str
) -> None:
    order = await place(application)
    provider.answer = always(422, PROBLEM % code)
    await dispatch(application)
    call = await charge_call_of(application, order)
    assert (call["state"], call["refused_code"]) == ("done", code)
    assert call["last_error"] == f"refused with 422 {code}"
    order = await stored_order(application, order.id)
    assert (order.status, order.charges, order.reviews, order.reconcile_at) == ("Failed", (), (), None)
    assert [change.status for change in order.history] == ["Pending", "Failed"]
    [payment] = order_view(order).payments
    assert (payment.state, payment.failure_code) == ("failed", code)
    assert await calls_of(application, state="dead") == []
    await make_due(application)
    assert await dispatch(application) == 0


async def test_c15_a_refusal_of_an_order_that_was_cancelled_meanwhile_leaves_it_cancelled(
    application: Application, provider: HttpDouble
) -> None:
    order = await place(application)

    async def cancel_meanwhile(_: Asked) -> web.StreamResponse:
        await application.cancel_order("default", order.id)
        return web.Response(status=422, text=PROBLEM % "invalid-fields")

    provider.answer = cancel_meanwhile
    await dispatch(application)
    order = await stored_order(application, order.id)
    assert (order.status, order.calls[0].refused_code, order.reviews) == ("Cancelled", "invalid-fields", ())


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
    assert (await charge_call_of(application, order))["state"] == "done"
    assert [one.id for one in (await stored_order(application, order.id)).charges] == [charge.id]


async def test_c15_a_call_is_given_up_after_a_bounded_number_of_attempts(
    application: Application, provider: HttpDouble
) -> None:
    order = await place(application)
    provider.answer = always(500, "$internal: {not: an expression}")
    await make_due(application, attempts=ATTEMPTS_MAX - 1, first_attempt_at=utc_now())
    await dispatch(application)
    assert (await charge_call_of(application, order))["state"] == "dead"
    assert [review.code for review in (await stored_order(application, order.id)).reviews] == ["dead-letter"]


async def test_c15_an_error_that_nobody_foresaw_is_tried_again_and_given_up(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def post(_: object) -> Any:
        raise ZeroDivisionError

    order = await place(application)
    monkeypatch.setattr(application.gateway, "post", post)
    await dispatch(application)
    call = await charge_call_of(application, order)
    assert (call["state"], call["last_error"]) == ("open", "ZeroDivisionError")
    await make_due(application, attempts=ATTEMPTS_MAX - 1)
    await dispatch(application)
    assert (await charge_call_of(application, order))["state"] == "dead"


async def test_c15_a_reply_that_nobody_can_decode_becomes_a_dead_letter(
    application: Application, provider: HttpDouble
) -> None:
    order = await place(application)
    provider.answer = other(unknown=NESTED)
    for attempt in range(1, ATTEMPTS_MAX + 1):
        assert (await charge_call_of(application, order))["attempts"] == attempt - 1
        await make_due(application)
        application.dispatch_outbox.breaker = Breaker()  # it would let the attempts wait, at no cost
        assert await dispatch(application) == 1
    assert (await charge_call_of(application, order))["state"] == "dead"
    await make_due(application)
    assert await dispatch(application) == 0
    assert len(provider.posts()) == ATTEMPTS_MAX


@pytest.mark.parametrize("name", ["100 Continue", "103 Early Hints"])
async def test_c15_an_endless_stream_of_interim_answers_is_no_answer(application: Application, name: str) -> None:
    order = await place(application)
    with flooding(ENDLESS[name]) as flood:
        application.gateway._url = flood.url
        await dispatch(application)
    call = await charge_call_of(application, order)
    assert (call["state"], call["attempts"], call["last_error"]) == ("open", 1, "HeadTooLongError")


async def test_c15_an_error_that_nobody_foresaw_in_a_call_is_no_answer(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    def request(*_: object, **__: object) -> Any:
        raise ZeroDivisionError

    order = await place(application)
    monkeypatch.setattr(application.gateway._session, "request", request)
    call = msgspec.convert(await charge_call_of(application, order), Call)
    assert await application.gateway.post(call) == Unavailable("ZeroDivisionError")
    assert await application.gateway.find(call) == Unavailable("ZeroDivisionError")
    with pytest.raises(GatewayUnavailableError):
        await anext(application.gateway.charges(order.id))
    with pytest.raises(GatewayUnavailableError):
        await application.sweep_events.run_once(utc_now())


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
    call = await charge_call_of(application, order)
    wait: timedelta = call["due_at"] - call["updated_at"]
    assert timedelta(minutes=59) < wait <= timedelta(hours=1, seconds=1)


async def test_c16_a_retry_after_that_is_a_date_is_waited_for(application: Application, provider: HttpDouble) -> None:
    order = await place(application)
    until = utc_now() + timedelta(minutes=30)
    provider.answer = always(503, Retry_After=http_date(until))
    await dispatch(application)
    call = await charge_call_of(application, order)
    assert timedelta(0) <= call["due_at"] - until <= timedelta(minutes=1)


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
    assert sum(call["attempts"] for call in await calls_of(application)) == len(provider.posts())


@pytest.fixture(autouse=True)
async def _nothing_left(application: Application) -> AsyncIterator[None]:
    """Every call is in a state that somebody will take it on from, or that is final; an order is due when its calls are."""
    yield
    async for order in application.store.orders.find():
        due = [call["due_at"] for call in order["calls"] if call["state"] == "open"]
        assert None not in due
        assert order["due_at"] == min(due, default=None)
        assert not any(call["claim"] or call["due_at"] for call in order["calls"] if call["state"] != "open")


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


def refusing_refunds(code: str, *events: bytes) -> Answer:
    """A provider that has these events, and refuses every refund."""
    listing = serving(*events)

    async def answer(asked: Asked) -> web.StreamResponse:
        if asked.method == "POST" and asked.path.endswith("/refunds"):
            return web.Response(status=409, text=PROBLEM % code)
        return await listing(asked)

    return answer


async def charged_twice(application: Application) -> Order:
    order = await place(application)
    for charge in (charge_of(order), charge_of(order)):
        await application.record_events(received(event_bytes(charge)))
    return await stored_order(application, order.id)


async def test_c2_an_automatic_refund_that_is_refused_for_good_is_asked_for_anew_after_a_pause_that_grows(
    application: Application, provider: HttpDouble
) -> None:
    """It releases its amount and is followed by the next, which is no dead letter. A person looks after the third."""
    order = await charged_twice(application)
    provider.answer = refusing_refunds("exceeds-paid")
    for number in range(1, 6):
        await make_due(application)
        await dispatch(application)
        order = await stored_order(application, order.id)
        assert [refund.state for refund in order.refunds] == [*["refused"] * number, "requested"]
        assert {refund.failure_code for refund in order.refunds[:-1]} == {"exceeds-paid"}
        [call] = await calls_of(application, kind="refund", state="open")
        assert call["due_at"] - call["created_at"] == timedelta(minutes=2 ** (number - 1))
        assert order.due_at == call["due_at"]
        codes = ["not-given-back"] if number >= 3 else []
        assert [review.code for review in order.reviews if review.resolved_at is None] == codes
    assert len({refund.id for refund in order.refunds}) == 6
    assert order.status == "Paid"
    provider.answer = accept_everything
    await make_due(application)
    await dispatch(application)
    await application.record_events(received(event_bytes(refund_of(order), "refund.succeeded")))
    order = await stored_order(application, order.id)
    assert [review.resolved_at is None for review in order.reviews] == [False], "it closes when the money has gone back"
    assert (order.status, sums(order).owed) == ("Paid", 0)


async def test_c2_a_provider_that_answers_no_refund_for_hours_is_asked_again_and_it_is_no_dead_letter(
    application: Application, provider: HttpDouble
) -> None:
    """A merchant's refund is given up after ATTEMPTS_MAX attempts; what must go back, after 30 days."""
    order = await charged_twice(application)
    provider.answer = always(500)
    await make_due(application, attempts=ATTEMPTS_MAX, first_attempt_at=utc_now())
    await dispatch(application)
    [call] = await calls_of(application, kind="refund")
    assert (call["state"], call["attempts"]) == ("open", ATTEMPTS_MAX + 1)
    assert call["due_at"] - call["updated_at"] == timedelta(days=1)
    days = timedelta(days=30, minutes=1)
    await make_due(application, created_at=utc_now() - days, first_attempt_at=utc_now() - days)
    await dispatch(application)
    order = await stored_order(application, order.id)
    assert [(review.code, review.event_id) for review in order.reviews] == [("dead-letter", call["id"])]
    assert [refund.state for refund in order.refunds] == ["requested"]


async def test_c2_after_30_days_of_refusals_only_the_review_is_left(
    application: Application, provider: HttpDouble
) -> None:
    order = await charged_twice(application)
    provider.answer = refusing_refunds("invalid-fields")
    for _ in range(GIVING_BACK_TRIES):
        await make_due(application)
        await dispatch(application)
    order = await stored_order(application, order.id)
    assert [refund.state for refund in order.refunds] == ["refused"] * GIVING_BACK_TRIES
    assert [review.code for review in order.reviews if review.resolved_at is None] == ["not-given-back"]
    assert await calls_of(application, kind="refund", state="open") == []
    assert order.reconcile_at is not None, "money that is owed stays an open question"


@pytest.mark.parametrize("code", ["exceeds-paid", "not-refundable"])
async def test_c2_a_refusal_that_tells_of_something_unheard_of_has_the_events_recorded_before_it_is_settled(
    application: Application, provider: HttpDouble, code: str
) -> None:
    """Somebody has given the charge back by hand, and its event never came: nothing is owed any more then."""
    order = await charged_twice(application)
    [automatic] = order.refunds
    second = charge_of(order, id=automatic.charge_id)
    event = event_bytes(refund_by_hand(second, order.amount_minor), "refund.succeeded")
    provider.answer = refusing_refunds(code, event)
    await dispatch(application)
    assert [(asked.method, asked.path) for asked in provider.asked][1:] == [("GET", "/v1/events")]
    order = await stored_order(application, order.id)
    assert sorted((refund.cause, refund.state) for refund in order.refunds) == [
        ("duplicateCharge", "refused"),
        ("provider", "succeeded"),
    ]
    assert await calls_of(application, kind="refund", state="open") == [], "no next one"
    assert (order.status, sums(order).owed) == ("Paid", 0)
    assert [stored.id for stored in await events_of(application, order) if stored.source == "reconcile"]


async def test_c2_the_events_of_the_charge_that_was_to_be_refunded_are_asked_for_after_such_a_refusal(
    application: Application, provider: HttpDouble
) -> None:
    order = await pay_again(application, await declined(application))
    await dispatch(application)
    second = charge_of(order, reference=f"{order.id}.2")
    await application.record_events(received(event_bytes(second)))
    await refund(application, order, 1000)
    dispute = event_bytes(dispute_of(second), "dispute.created")
    provider.answer = refusing_refunds("not-refundable", dispute)
    provider.asked.clear()
    await dispatch(application)
    asked = [asked.query["reference"] for asked in provider.asked if asked.path == "/v1/events"]
    assert asked == [f"{order.id}.2"]
    order = await stored_order(application, order.id)
    assert [refund.state for refund in order.refunds] == ["refused"]
    open_now = {review.code for review in order.reviews if review.resolved_at is None}
    assert open_now == {"dispute", "refund-failed"}


async def test_c2_such_a_refusal_is_not_settled_while_the_events_cannot_be_had(
    application: Application, provider: HttpDouble
) -> None:
    order = await charged_twice(application)
    provider.answer = always(409, PROBLEM % "exceeds-paid")
    await make_due(application)
    await dispatch(application)
    assert [refund.state for refund in (await stored_order(application, order.id)).refunds] == ["requested"]
    [call] = await calls_of(application, kind="refund")
    assert (call["state"], call["refused_code"]) == ("open", None)


async def test_c15_such_a_refusal_is_settled_though_an_event_never_can_be_recorded(
    application: Application, provider: HttpDouble
) -> None:
    order = await charged_twice(application)
    provider.answer = refusing_refunds("exceeds-paid", unrecordable(order))
    await make_due(application)
    await dispatch(application)
    refunds = (await stored_order(application, order.id)).refunds
    assert [refund.state for refund in refunds] == ["refused", "requested"]


def unrecordable(order: Order) -> bytes:
    return msgspec.json.encode({"reference": order.id})


async def test_c15_a_merchants_refund_that_is_refused_for_good_releases_its_amount_and_raises_a_review(
    application: Application, provider: HttpDouble
) -> None:
    order = await paid(application)
    await refund(application, order, 9000)
    provider.answer = refusing_refunds("invalid-fields")
    await dispatch(application)
    order = await stored_order(application, order.id)
    [refused] = order.refunds
    assert (refused.state, refused.failure_code) == ("refused", "invalid-fields")
    assert [(review.code, review.event_id) for review in order.reviews] == [("refund-failed", refused.id)]
    [call] = await calls_of(application, kind="refund")
    assert (call["state"], call["refused_code"], call["due_at"]) == ("done", "invalid-fields", None)
    assert isinstance(await refund(application, order), Replayable)
    assert sums(await stored_order(application, order.id)).refundable == 0


async def test_a_refund_that_was_not_sent_and_no_longer_fits_is_refused_when_the_dispute_comes(
    application: Application, provider: HttpDouble
) -> None:
    order = await paid(application)
    for amount_minor in (4000, 5000):
        await refund(application, order, amount_minor)
    charge = charge_of(order, id=order.charges[0].id)
    await application.record_events(received(event_bytes(dispute_of(charge, amount=5000), "dispute.created")))
    order = await stored_order(application, order.id)
    assert [(one.amount_minor, one.state, one.failure_code) for one in order.refunds] == [
        (4000, "requested", None),
        (5000, "refused", "disputed"),
    ]
    provider.answer = accept_everything
    while await dispatch(application):
        pass
    assert [asked.body for asked in provider.posts()] == [order.calls[1].body.encode()]


async def test_c18_a_refund_that_was_given_up_keeps_its_amount_reserved(
    application: Application, provider: HttpDouble
) -> None:
    order = await paid(application)
    await refund(application, order)
    provider.answer = always(500)
    await make_due(application, attempts=ATTEMPTS_MAX - 1, first_attempt_at=utc_now())
    await dispatch(application)
    order = await stored_order(application, order.id)
    assert [call["state"] for call in await calls_of(application, kind="refund")] == ["dead"]
    assert [refund.state for refund in order.refunds] == ["requested"]
    assert await refund(application, order, 1) == ExceedsPaid(0, "USD", 2)


async def paid_with_refunds(application: Application, number: int) -> Order:
    order = await paid(application)
    refunds = (refund(application, order, 10) for _ in range(number))
    assert all(isinstance(answer, Replayable) for answer in await asyncio.gather(*refunds))
    return await stored_order(application, order.id)


async def test_c11_200_refund_calls_of_one_order_are_200_posts_from_two_replicas(
    make_application: MakeApplication, provider: HttpDouble
) -> None:
    """Claims come while settlements change the order: neither starves, and none takes what another has claimed."""
    provider.answer = accept_everything
    async with make_application() as one, make_application() as other:
        await paid_with_refunds(one, 200)
        while sum(await asyncio.gather(dispatch(one), dispatch(other), dispatch(one), dispatch(other))):
            pass
        calls = await calls_of(one, kind="refund")
        assert {(call["state"], call["attempts"]) for call in calls} == {("done", 1)}
        keys = [asked.headers["Idempotency-Key"] for asked in provider.posts()]
        assert len(keys) == len(set(keys)) == 200


async def test_c3_a_claim_on_an_order_that_changes_all_the_time_does_not_starve(
    make_application: MakeApplication, provider: HttpDouble
) -> None:
    async with make_application() as one, make_application() as other:
        order = await place(one)
        stop = asyncio.Event()

        async def change_without_end() -> int:
            changes = 0
            while not stop.is_set():
                await other.store.change(order.id, lambda known, _now: counted(known))
                changes += 1
            return changes

        changing = asyncio.create_task(change_without_end())
        await other.store.change(order.id, lambda known, _now: counted(known))
        claimed = await one.dispatch_outbox._claim(1)
        stop.set()
        assert await changing > 0
        assert len(claimed) == 1


def counted(order: Order | None) -> Verdict[Order, None]:
    assert order is not None
    return Verdict(None, msgspec.structs.replace(order, reconcile_attempts=order.reconcile_attempts + 1))


async def test_c11_every_write_leaves_the_order_due_when_its_first_open_call_is(
    application: Application, provider: HttpDouble
) -> None:
    """Claimed, given back, refused for a while, done: and `due_at` is always the least of what is open."""
    provider.answer = always(503)
    order = await paid_with_refunds(application, 3)
    [claimed, *_] = await application.dispatch_outbox._claim(1)
    await assert_due_when_its_calls_are(application)
    await application.dispatch_outbox._give_back(order.id, msgspec.convert(claimed.call, Call))
    await assert_due_when_its_calls_are(application)
    await dispatch(application)
    await assert_due_when_its_calls_are(application)
    await application.record_events(received(event_bytes(refund_of(order), "refund.succeeded")))
    await assert_due_when_its_calls_are(application)
    provider.answer = accept_everything
    await make_due(application)
    await dispatch(application)
    await assert_due_when_its_calls_are(application)
    assert {call["state"] for call in await calls_of(application)} == {"done"}


async def assert_due_when_its_calls_are(application: Application) -> None:
    [order] = await application.store.orders.find().to_list()
    due = [call["due_at"] for call in order["calls"] if call["state"] == "open"]
    assert order["due_at"] == min(due, default=None)


async def test_c11_a_call_that_an_event_ended_is_not_claimed_by_an_older_look(
    make_application: MakeApplication, provider: HttpDouble
) -> None:
    """Of one order a call is over and another is due: the claim takes what is open as it is written, and nothing else."""
    async with make_application() as application:
        order = await paid_with_refunds(application, 2)
        await application.record_events(received(event_bytes(refund_of(order), "refund.succeeded")))
        provider.answer = accept_everything
        assert await dispatch(application) == 1
        assert [call["attempts"] for call in await calls_of(application, kind="refund")] in ([0, 1], [1, 0])


async def test_a_call_keeps_its_last_tries_and_what_came_of_them(
    application: Application, provider: HttpDouble
) -> None:
    order = await place(application)
    for answer in (always(503), always(500), accept_charges):
        provider.answer = answer
        await make_due(application)
        await dispatch(application)
    [call] = (await stored_order(application, order.id)).calls
    assert [(tried.outcome, tried.reason) for tried in call.tries[:2]] == [
        ("unavailable", "HTTP 503"),
        ("unavailable", "HTTP 500"),
    ]
    assert call.tries[2].outcome == "accepted"
    assert call.last_error is None
