"""C21, C22: whatever has an open money question is asked about until it has none."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any

import msgspec
import pytest
from aiohttp import web

from order_api.app import Application
from order_api.calls import ATTEMPTS_MAX
from order_api.metrics import RECONCILIATIONS
from order_api.order import Order
from order_api.questions import ASKS_IN_DOUBT
from order_api.reconcile import SLOTS
from shared import wire
from shared.backoff import exponential
from shared.ids import new_id
from shared.times import utc_now
from tests.http_double import Answer, Asked, HttpDouble, always
from tests.integration.conftest import FailCommand
from tests.integration.order_api.conftest import (
    MakeApplication,
    accept_charges,
    charge_call_of,
    charge_of,
    declined,
    dispute_of,
    document_of,
    event_bytes,
    events_of,
    make_due,
    pay_again,
    place,
    received,
    refund,
    refund_by_hand,
    refund_of,
    restore,
    stored_order,
)


def serving(
    *events: bytes,
    page_size: int = 100,
    charges: Sequence[wire.Charge] = (),
    disputes: Sequence[wire.Dispute] = (),
) -> Answer:
    """The provider's events, charges and disputes, newest first, in pages; of one reference only, if that is asked for."""

    async def answer(asked: Asked) -> web.StreamResponse:
        if asked.method == "POST":
            return await accept_charges(asked)
        wanted = f'"{asked.query.get("reference", "")}"'.encode()
        known = {
            "/v1/events": [*events],
            "/v1/charges": [wire.encode(charge) for charge in charges],
            "/v1/disputes": [wire.encode(dispute) for dispute in disputes],
        }[asked.path]
        things = [msgspec.Raw(one) for one in known if wanted == b'""' or wanted in one]
        start = int(asked.query.get("cursor", 0))
        page = things[start : start + page_size]
        following = str(start + page_size) if len(things) > start + page_size else None
        return web.Response(body=msgspec.json.encode({"data": page, "nextCursor": following}))

    return answer


async def reconcile(application: Application) -> int:
    """One round, with everything that is to be asked about due now."""
    past = utc_now() - timedelta(seconds=1)
    for collection in (application.store.orders, application.store.payment_events):
        await collection.update_many({"reconcile_at": {"$type": "date"}}, {"$set": {"reconcile_at": past}})
    return await application.reconcile.work.run_once()


async def test_c22_a_webhook_that_is_lost_for_ever_still_ends_in_paid(
    application: Application, provider: HttpDouble
) -> None:
    order = await place(application)
    raw = event_bytes(charge_of(order))
    provider.answer = serving(raw)
    assert await reconcile(application) == 1
    assert (await stored_order(application, order.id)).status == "Paid"
    [event] = await events_of(application, order)
    assert (event.source, event.raw.encode()) == ("reconcile", raw)
    assert await reconcile(application) == 0, "a settled order is not asked about again"


async def test_c21_the_same_event_by_both_ways_takes_effect_once(
    application: Application, provider: HttpDouble
) -> None:
    order = await place(application)
    raw = event_bytes(charge_of(order))
    provider.answer = serving(raw)
    outcomes = await asyncio.gather(application.record_events(received(raw)), reconcile(application))
    assert outcomes[0] in {"applied", "duplicate"}
    [event] = await events_of(application, order)
    assert len((await stored_order(application, order.id)).history) == 2
    assert event.outcome == "applied"


async def test_c22_all_pages_are_read(application: Application, provider: HttpDouble) -> None:
    order = await place(application)
    failed = [charge_of(order, status="failed", failure_code="card_declined") for _ in range(4)]
    events = [event_bytes(charge_of(order)), *(event_bytes(charge, "payment.failed") for charge in failed)]
    provider.answer = serving(*events, page_size=2)
    await reconcile(application)
    assert len((await stored_order(application, order.id)).charges) == 5


async def test_c22_an_unmatched_event_does_not_wait_for_all_orders(application: Application) -> None:
    for _ in range(SLOTS):
        await place(application)
    stranger = charge_of(await place(application), reference="ord_unknown")
    assert await application.record_events(received(event_bytes(stranger))) == "unmatched"
    assert await reconcile(application) == SLOTS
    [event] = await application.store.payment_events.find().to_list()
    assert event["reconcile_attempts"] == 1


async def test_c22_a_new_question_is_asked_soon_though_an_old_one_is_asked_seldom(application: Application) -> None:
    order = await place(application)
    await application.record_events(received(event_bytes(charge_of(order))))
    order = await stored_order(application, order.id)
    await refund(application, order, 1000)
    seldom = {"reconcile_at": utc_now() + timedelta(hours=1), "reconcile_attempts": 9}
    await application.store.orders.update_one({"_id": order.id}, {"$set": seldom})
    await refund(application, order, 1000)
    question = await document_of(application, order)
    assert (question["reconcile_at"] < seldom["reconcile_at"], question["reconcile_attempts"]) == (True, 0)
    await refund(application, order, 1000)
    assert (await document_of(application, order))["reconcile_at"] == question["reconcile_at"], "not put off either"


async def test_c22_a_turn_that_no_majority_has_yet_is_taken(
    application: Application, provider: HttpDouble, fail_command: FailCommand
) -> None:
    order = await place(application)
    slow = {"code": 64, "errmsg": "waiting for replication timed out", "errInfo": {"wtimeout": True}}
    await application.store.orders.update_many({}, {"$set": {"reconcile_at": order.created_at}})
    await fail_command("order_api", ["update"], times=1, writeConcernError=slow)
    assert await application.reconcile.work.run_once() == 1
    assert {asked.query["reference"] for asked in provider.asked} == {order.id}


@pytest.mark.parametrize("answer", [always(500), always(200, "garbage"), always(401)])
async def test_c22_it_asks_again_with_growing_pauses_and_without_end(
    application: Application, provider: HttpDouble, answer: Answer
) -> None:
    order = await place(application)
    provider.answer = answer
    pauses = []
    for _ in range(12):
        assert await reconcile(application) == 1
        document = await document_of(application, order)
        pauses.append(document["reconcile_at"] - utc_now())
    assert pauses[0] < pauses[3] < pauses[6]
    assert pauses[-1] <= timedelta(hours=1)


async def given_up(application: Application, provider: HttpDouble) -> Order:
    """An order whose charge nobody knows the outcome of, and that is not asked for any more."""
    order = await place(application)
    provider.answer = always(500)
    await make_due(application, attempts=ATTEMPTS_MAX - 1, first_attempt_at=utc_now())
    await application.dispatch_outbox.work.run_once()
    assert (await charge_call_of(application, order))["state"] == "dead"
    return order


async def test_c22_a_dead_letter_is_asked_about_too(application: Application, provider: HttpDouble) -> None:
    order = await given_up(application, provider)
    provider.answer = serving(event_bytes(charge_of(order)))
    await reconcile(application)
    assert (await stored_order(application, order.id)).status == "Paid"
    assert (await charge_call_of(application, order))["state"] == "done"


async def test_c22_an_unmatched_event_is_judged_again(application: Application, provider: HttpDouble) -> None:
    order = await place(application)
    provider.answer = serving()
    charge = charge_of(order, reference=new_id("ord"))
    assert await application.record_events(received(event_bytes(charge))) == "unmatched"
    await restore(application, order, charge.reference)
    await reconcile(application)
    assert (await stored_order(application, charge.reference)).status == "Paid"


async def test_c22_two_replicas_do_not_ask_the_same_question_at_once(
    make_application: MakeApplication, provider: HttpDouble
) -> None:
    provider.answer = serving()
    async with make_application() as one, make_application() as other:
        for _ in range(6):
            await place(one)
        past = utc_now() - timedelta(seconds=1)
        await one.store.orders.update_many({}, {"$set": {"reconcile_at": past}})
        asked = await asyncio.gather(one.reconcile.work.run_once(), other.reconcile.work.run_once())
        assert sum(asked) == 6
        assert [one.path for one in provider.asked].count("/v1/events") == 6


async def charged_with_the_reply_lost(application: Application, provider: HttpDouble) -> Order:
    """An order whose message was sent, nobody knows with what outcome, and which an event then says is paid."""
    order = await place(application)
    provider.answer = always(500)
    await application.dispatch_outbox.work.run_once()
    await application.record_events(received(event_bytes(charge_of(order))))
    assert (await charge_call_of(application, order))["state"] == "done"
    return await stored_order(application, order.id)


async def test_c22_when_an_event_ends_a_charge_of_unknown_outcome_the_provider_is_asked_three_times_more(
    application: Application, provider: HttpDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_short = partial(exponential, random=Random(8))  # however late the test reads the clock, the pauses differ
    monkeypatch.setattr("order_api.claims.exponential", first_short)
    order = await charged_with_the_reply_lost(application, provider)
    assert order.status == "Paid"
    provider.answer = serving()
    pauses = []
    for left in reversed(range(ASKS_IN_DOUBT)):
        before = utc_now()
        assert await reconcile(application) == 1
        document = await document_of(application, order)
        assert document["asks_left"] == left
        if left:
            pauses.append(document["reconcile_at"] - before)
    assert pauses == sorted(pauses)
    assert document["reconcile_at"] is None
    assert await reconcile(application) == 0


async def test_c22_an_ask_without_an_answer_settles_no_doubt(application: Application, provider: HttpDouble) -> None:
    order = await charged_with_the_reply_lost(application, provider)
    for answer in (always(500), always(200, "garbage"), events_only):
        provider.answer = answer
        assert await reconcile(application) == 1
        assert (await document_of(application, order))["asks_left"] == ASKS_IN_DOUBT


async def events_only(asked: Asked) -> web.StreamResponse:
    return web.Response(status=500) if asked.path == "/v1/charges" else await accept_charges(asked)


async def test_c22_a_second_charge_whose_event_is_lost_for_good_keeps_the_question_open(
    application: Application, provider: HttpDouble
) -> None:
    """A reply never says how it ended: only its event closes the question, and then the money is given back. C15"""
    order = await charged_with_the_reply_lost(application, provider)
    [first] = order.charges
    ours = charge_of(order)  # succeeded, as the provider says
    provider.answer = serving(charges=[ours, charge_of(order, id=first.id)], page_size=1)
    for _ in range(ASKS_IN_DOUBT + 3):
        assert await reconcile(application) == 1
    order = await stored_order(application, order.id)
    assert {charge.id: charge.state for charge in order.charges} == {first.id: "succeeded", ours.id: "pending"}
    assert order.refunds == ()
    provider.answer = serving(event_bytes(ours), charges=[ours])
    await reconcile(application)
    order = await stored_order(application, order.id)
    assert [(refund.charge_id, refund.cause) for refund in order.refunds] == [(ours.id, "duplicateCharge")]


@pytest.mark.parametrize("changes", [{"amount": 1}, {"currency": "EUR"}])
async def test_c22_a_charge_for_other_money_is_left_to_its_event(
    application: Application, provider: HttpDouble, changes: dict[str, Any]
) -> None:
    order = await place(application)
    provider.answer = serving(charges=[charge_of(order, **changes)])
    await reconcile(application)
    assert (await stored_order(application, order.id)).charges == ()


async def test_c22_a_closed_order_that_somebody_has_asked_about_by_hand_is_closed_again(
    application: Application, provider: HttpDouble
) -> None:
    order = await place(application)
    await application.record_events(received(event_bytes(charge_of(order))))
    await application.store.orders.update_one({"_id": order.id}, {"$set": {"reconcile_at": utc_now()}})
    before = await stored_order(application, order.id)
    provider.answer = serving()
    assert await reconcile(application) == 1
    assert (await document_of(application, order))["reconcile_at"] is None
    after = await stored_order(application, order.id)
    untouched = {"version": before.version, "reconcile_at": before.reconcile_at, "reconcile_attempts": 0}
    assert msgspec.structs.replace(after, **untouched) == msgspec.structs.replace(before, reconcile_attempts=0)


async def test_c22_cancelled_in_flight_with_every_webhook_lost_still_gives_the_money_back(
    application: Application, provider: HttpDouble
) -> None:
    order = await place(application)
    provider.answer = serving()
    await application.dispatch_outbox.work.run_once()
    [pending] = (await stored_order(application, order.id)).charges
    await application.cancel_order("default", order.id)
    provider.answer = serving(event_bytes(charge_of(order, id=pending.id)))
    assert await reconcile(application) == 1
    order = await stored_order(application, order.id)
    assert (order.status, [refund.state for refund in order.refunds]) == ("Cancelled", ["requested"])
    refunded = event_bytes(refund_of(order), "refund.succeeded")
    provider.answer = serving(refunded, event_bytes(charge_of(order, id=pending.id)))
    assert await reconcile(application) == 1
    assert [refund.state for refund in (await stored_order(application, order.id)).refunds] == ["succeeded"]
    assert await reconcile(application) == 0


async def test_c22_a_void_redrive_is_asked_about_until_nothing_can_be_on_its_way(
    application: Application, provider: HttpDouble
) -> None:
    order = await given_up(application, provider)
    await application.cancel_order("default", order.id)
    assert await reconcile(application) == 1, "a dead letter of a cancelled order is an open question"
    provider.answer = serving()
    await application.redrive_message("default", (await charge_call_of(application, order))["id"])
    await application.dispatch_outbox.work.run_once()
    assert (await charge_call_of(application, order))["state"] == "void"
    for _ in range(ASKS_IN_DOUBT):
        assert await reconcile(application) == 1
    assert await reconcile(application) == 0


async def test_c22_an_event_that_cannot_be_recorded_is_no_answer(
    application: Application, provider: HttpDouble
) -> None:
    order = await charged_with_the_reply_lost(application, provider)
    provider.answer = serving(f'{{"reference":"{order.id}"}}'.encode())
    assert await reconcile(application) == 1
    assert (await document_of(application, order))["asks_left"] == ASKS_IN_DOUBT


@pytest.mark.parametrize("path", ["/v1/events", "/v1/charges", "/v1/disputes"])
async def test_c22_a_list_that_nobody_can_decode_is_no_answer(
    application: Application, provider: HttpDouble, path: str
) -> None:
    order = await charged_with_the_reply_lost(application, provider)
    usual, deep = serving(), b"[" * 100_000 + b"]" * 100_000

    async def answer(asked: Asked) -> web.StreamResponse:
        if asked.path == path:
            return web.Response(body=b'{"data": [%s], "nextCursor": null}' % deep)
        return await usual(asked)

    provider.answer = answer
    before = RECONCILIATIONS["unavailable"]._value.get()
    assert await reconcile(application) == 1
    assert RECONCILIATIONS["unavailable"]._value.get() == before + 1
    assert (await document_of(application, order))["asks_left"] == ASKS_IN_DOUBT


async def test_c22_the_provider_is_asked_about_every_attempt_and_for_events_charges_and_disputes_of_each(
    application: Application, provider: HttpDouble
) -> None:
    order = await pay_again(application, await declined(application))
    provider.answer = serving()
    provider.asked.clear()
    assert await reconcile(application) == 1
    assert sorted((asked.path, asked.query["reference"]) for asked in provider.asked) == [
        (path, reference)
        for path in ("/v1/charges", "/v1/disputes", "/v1/events")
        for reference in (order.id, f"{order.id}.2")
    ]


async def test_c22_a_late_success_of_the_first_attempt_is_found_while_the_second_is_open(
    application: Application, provider: HttpDouble
) -> None:
    order = await pay_again(application, await declined(application))
    [failed] = order.charges
    provider.answer = serving(event_bytes(charge_of(order, id=failed.id)))
    assert await reconcile(application) == 1
    assert (await stored_order(application, order.id)).status == "Paid"


async def test_c22_a_dispute_whose_event_is_lost_for_good_shows_and_keeps_the_question_open(
    application: Application, provider: HttpDouble
) -> None:
    """Only its event says how it ended, as of a charge."""
    order = await charged_with_the_reply_lost(application, provider)
    [charge] = order.charges
    dispute = dispute_of(charge_of(order, id=charge.id), status="lost", closed_at=utc_now())
    provider.answer = serving(disputes=[dispute])
    for _ in range(ASKS_IN_DOUBT + 2):
        assert await reconcile(application) == 1
    order = await stored_order(application, order.id)
    assert [(one.id, one.state) for one in order.disputes] == [(dispute.id, "open")]
    assert [review.code for review in order.reviews] == ["dispute"]
    provider.answer = serving(event_bytes(dispute, "dispute.closed"), disputes=[dispute])
    assert await reconcile(application) == 1
    order = await stored_order(application, order.id)
    assert [one.state for one in order.disputes] == ["lost"]
    while (await document_of(application, order))["asks_left"]:
        assert await reconcile(application) == 1
    assert await reconcile(application) == 0


async def test_c22_without_an_answer_about_disputes_nothing_is_concluded(
    application: Application, provider: HttpDouble
) -> None:
    order = await charged_with_the_reply_lost(application, provider)

    async def all_but_disputes(asked: Asked) -> web.StreamResponse:
        return web.Response(status=404) if asked.path == "/v1/disputes" else await accept_charges(asked)

    provider.answer = all_but_disputes
    assert await reconcile(application) == 1
    assert (await document_of(application, order))["asks_left"] == ASKS_IN_DOUBT


async def test_c22_a_refund_of_a_charge_that_is_not_known_to_have_succeeded_is_an_open_question(
    application: Application, provider: HttpDouble
) -> None:
    """Its charge's event was lost for ever: whoever has the refund's is asked for it."""
    order = await declined(application)
    [failed] = order.charges
    charge = charge_of(order, id=failed.id)
    assert (await document_of(application, order))["reconcile_at"] is None
    await application.record_events(received(event_bytes(refund_by_hand(charge, 1000), "refund.succeeded")))
    order = await stored_order(application, order.id)
    assert (order.status, order.reconcile_at is None) == ("Failed", False)
    provider.answer = serving(event_bytes(charge))
    assert await reconcile(application) == 1
    order = await stored_order(application, order.id)
    assert (order.status, order.reconcile_at) == ("PartiallyRefunded", None)
