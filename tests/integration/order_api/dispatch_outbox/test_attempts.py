"""C12 to C15: a call is posted until its outcome is known, and done once."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from aiohttp import web

from order_api.app import Application
from order_api.breaker import Breaker
from order_api.calls import ATTEMPTS_MAX, Call, Unavailable
from order_api.gateway_client import GatewayUnavailableError
from order_api.views import order_view
from shared.times import utc_now
from tests.flood import ENDLESS, flooding
from tests.http_double import Answer, Asked, HttpDouble, always
from tests.integration.order_api.conftest import (
    accept_charges,
    accepted,
    as_json,
    calls_of,
    charge_call_of,
    charge_of,
    event_bytes,
    make_due,
    place,
    received,
    stored_order,
)
from tests.integration.order_api.dispatch_outbox.conftest import PROBLEM, dispatch

NESTED = msgspec.Raw(b"[" * 100_000 + b"]" * 100_000)


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
