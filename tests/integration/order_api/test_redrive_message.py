"""C13, C15, C17, C18: a dead letter is explained, and sent again without anything being done twice."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from aiohttp import web

from order_api.app import Application
from order_api.order import Order
from order_api.outbox import ATTEMPTS_MAX, Message, State
from order_api.redrive_message import NoSuchMessage, NotRedrivable
from order_api.refund_order import NewRefund
from shared.pages import at_and_id
from shared.times import utc_now
from tests.http_double import Answer, Asked, HttpDouble, always
from tests.integration.order_api.conftest import (
    MakeApplication,
    accept_charges,
    accept_everything,
    as_json,
    charge_of,
    event_bytes,
    message_of,
    place,
    received,
    stored_order,
)

INVALID = '{"type": "/problems/invalid-fields"}'
ALL: tuple[State, ...] = ("ready", "leased", "done", "dead", "void")


async def dispatch(application: Application, **changes: Any) -> None:
    """One round with all that waits due now."""
    due = {"next_attempt_at": utc_now() - timedelta(seconds=1), **changes}
    await application.store.outbox.update_many({"state": "ready"}, {"$set": due})
    await application.dispatch_outbox.work.run_once()


async def given_up(application: Application, provider: HttpDouble) -> Order:
    """An order whose charge message was tried without an answer until it was dead."""
    order = await place(application)
    provider.answer = always(500)
    await dispatch(application, attempts=ATTEMPTS_MAX - 1, first_attempt_at=utc_now() - timedelta(hours=1))
    assert (await message_of(application, order))["state"] == "dead"
    return order


async def redrive(application: Application, order: Order) -> Message:
    outcome = await application.redrive_message("default", (await message_of(application, order))["_id"])
    assert isinstance(outcome, Message), outcome
    return outcome


def having(*charges: Any) -> Answer:
    """A provider that has these charges, and takes another."""

    async def answer(asked: Asked) -> web.StreamResponse:
        if asked.method == "GET":
            return web.json_response({"data": [as_json(charge) for charge in charges], "nextCursor": None})
        return await accept_charges(asked)

    return answer


async def test_a_dead_message_is_ready_again_and_its_review_closed(
    application: Application, provider: HttpDouble
) -> None:
    order = await given_up(application, provider)
    dead = await message_of(application, order)
    shown = await redrive(application, order)
    message = await message_of(application, order)
    assert msgspec.convert(message, Message) == shown
    assert (message["state"], message["attempts"], message["redrives"]) == ("ready", 0, 1)
    assert message["redriven_at"] == message["updated_at"]
    assert message["fence"] == dead["fence"] + 1
    assert message["first_attempt_at"] == dead["first_attempt_at"]
    [review] = (await stored_order(application, order.id)).reviews
    assert (review.decision, review.resolved_at) == ("redriven", message["redriven_at"])


async def test_c13_a_redrive_adopts_the_charge_whose_reply_was_lost(
    application: Application, provider: HttpDouble
) -> None:
    order = await given_up(application, provider)
    charge = charge_of(order, status="pending")
    provider.answer = having(charge)
    provider.asked.clear()
    await redrive(application, order)
    await dispatch(application)
    assert [(asked.method, asked.path, asked.query["reference"]) for asked in provider.asked] == [
        ("GET", "/v1/charges", order.id)
    ]
    assert (await message_of(application, order))["state"] == "done"
    assert [one.id for one in (await stored_order(application, order.id)).charges] == [charge.id]


async def test_c13_a_redrive_of_what_was_never_done_posts_the_same_request_again(
    application: Application, provider: HttpDouble
) -> None:
    order = await given_up(application, provider)
    lost = provider.posts()[-1]
    provider.answer = having()
    await redrive(application, order)
    await dispatch(application)
    again = provider.posts()[-1]
    assert (again.headers["Idempotency-Key"], again.body) == (lost.headers["Idempotency-Key"], lost.body)
    assert (await message_of(application, order))["state"] == "done"


async def test_c15_a_redriven_message_counts_as_possibly_done(application: Application, provider: HttpDouble) -> None:
    """The first look-up finds nothing, the post is refused because of the charge that appears meanwhile."""
    order = await given_up(application, provider)
    charge = charge_of(order, status="pending")
    found: list[Any] = []

    async def answer(asked: Asked) -> web.StreamResponse:
        if asked.method == "GET":
            return web.json_response({"data": list(found), "nextCursor": None})
        found.append(as_json(charge))
        return web.Response(status=422, text='{"type": "/problems/idempotency-key-reused"}')

    provider.answer = answer
    await redrive(application, order)
    await dispatch(application)
    assert [one.id for one in (await stored_order(application, order.id)).charges] == [charge.id]


async def test_c17_a_redrive_never_charges_a_cancelled_order(application: Application, provider: HttpDouble) -> None:
    order = await given_up(application, provider)
    await application.cancel_order("default", order.id)
    provider.answer = having()
    provider.asked.clear()
    await redrive(application, order)
    await dispatch(application)
    assert provider.posts() == []
    message = await message_of(application, order)
    assert message["state"] == "void"
    assert message["settled_fence"] == message["fence"]
    assert (await stored_order(application, order.id)).charge_voided


async def test_c17_a_redrive_never_charges_an_order_that_is_cancelled_while_the_provider_is_asked(
    application: Application, provider: HttpDouble
) -> None:
    order = await given_up(application, provider)
    await redrive(application, order)

    async def cancel_meanwhile(asked: Asked) -> web.StreamResponse:
        await application.cancel_order("default", order.id)
        return await having()(asked)

    provider.answer = cancel_meanwhile
    provider.asked.clear()
    await dispatch(application)
    assert (provider.posts(), (await message_of(application, order))["state"]) == ([], "void")


async def test_c17_a_redrive_of_a_cancelled_order_adopts_what_is_there(
    application: Application, provider: HttpDouble
) -> None:
    order = await given_up(application, provider)
    await application.cancel_order("default", order.id)
    provider.answer = having(charge_of(order, status="pending"))
    await redrive(application, order)
    await dispatch(application)
    assert [charge.state for charge in (await stored_order(application, order.id)).charges] == ["pending"]


async def test_a_second_death_raises_a_review_of_its_own(application: Application, provider: HttpDouble) -> None:
    order = await place(application)
    provider.answer = always(422, INVALID)
    await dispatch(application)
    for _ in range(2):
        provider.answer = refusing_after_a_look
        await redrive(application, order)
        await dispatch(application)
    message = await message_of(application, order)
    reviews = (await stored_order(application, order.id)).reviews
    assert [(review.event_id, review.decision) for review in reviews] == [
        (message["_id"], "redriven"),
        (f"{message['_id']}~1", "redriven"),
        (f"{message['_id']}~2", None),
    ]


async def refusing_after_a_look(asked: Asked) -> web.StreamResponse:
    if asked.method == "GET":
        return web.json_response({"data": [], "nextCursor": None})
    return web.Response(status=422, text=INVALID)


async def test_c11_a_redriven_message_that_could_not_be_sent_stays_one_that_was_attempted(
    application: Application, provider: HttpDouble
) -> None:
    """Giving a claim back must not make it look as if it had never been sent, or cancelling would void it."""
    order = await given_up(application, provider)
    first = (await message_of(application, order))["first_attempt_at"]
    await redrive(application, order)
    [claimed] = await application.dispatch_outbox._claim(1)
    await application.dispatch_outbox._give_back(msgspec.convert(claimed.document, Message))
    await application.cancel_order("default", order.id)
    message = await message_of(application, order)
    assert (message["state"], message["attempts"], message["first_attempt_at"]) == ("ready", 0, first)


async def test_only_a_dead_message_of_ones_own_is_redriven_and_once(
    make_application: MakeApplication, provider: HttpDouble
) -> None:
    async with make_application() as one, make_application() as other:
        order = await place(one)
        message_id = (await message_of(one, order))["_id"]
        assert isinstance(await one.redrive_message("default", message_id), NotRedrivable)
        dead = await given_up(one, provider)
        message_id = (await message_of(one, dead))["_id"]
        assert await one.redrive_message("other", message_id) == NoSuchMessage()
        assert await one.redrive_message("default", "obx_none") == NoSuchMessage()
        outcomes = await asyncio.gather(*(app.redrive_message("default", message_id) for app in [one, other] * 5))
        assert [isinstance(outcome, Message) for outcome in outcomes].count(True) == 1
        assert (await message_of(one, dead))["redrives"] == 1


async def test_c18_a_refund_is_redriven_only_while_it_may_have_been_made(
    application: Application, provider: HttpDouble
) -> None:
    order = await place(application)
    await application.record_events(received(event_bytes(charge_of(order))))
    order = await stored_order(application, order.id)
    for key in ("one", "other"):
        await application.refund_order(key, order, NewRefund(1000))
    refused, lost = [message async for message in application.store.outbox.find({"kind": "refund"})]

    async def answer(asked: Asked) -> web.StreamResponse:
        is_refused = asked.headers["Idempotency-Key"] == refused["_id"]
        return (
            web.Response(status=409, text='{"type": "/problems/exceeds-paid"}')
            if is_refused
            else web.Response(status=500)
        )

    provider.answer = answer
    await dispatch(application, attempts=ATTEMPTS_MAX - 1, first_attempt_at=utc_now())
    # A refusal after an attempt of unknown outcome is believed after a look-up only, and there was no answer to that.
    assert await application.store.outbox.count_documents({"kind": "refund", "state": "dead"}) == 2
    await application.store.outbox.update_one({"_id": refused["_id"]}, {"$set": {"last_error": "refused with 409 x"}})
    failed = {"refunds.$.state": "failed", "refunds.$.failure_code": "x"}
    await application.store.orders.update_one({"refunds.id": refused["refund_id"]}, {"$set": failed})
    assert isinstance(await application.redrive_message("default", refused["_id"]), NotRedrivable)
    assert isinstance(await application.redrive_message("default", lost["_id"]), Message)
    provider.answer = accept_everything
    await dispatch(application)
    done = await application.store.outbox.find_one({"_id": lost["_id"]}) or {}
    assert done["state"] == "done"


async def test_the_outbox_is_listed_newest_first_page_by_page(application: Application) -> None:
    orders = [await place(application) for _ in range(5)]
    await application.cancel_order("default", orders[1].id)
    store, seen, before = application.store, [], None
    while page := await store.list_messages("default", ALL, before=before, limit=2):
        seen += [message.order_id for message in page]
        before = at_and_id(page[-1].created_at, page[-1].id)
    assert seen == [order.id for order in reversed(orders)]
    [void] = await store.list_messages("default", ["void"], before=None, limit=10)
    assert void.order_id == orders[1].id
    assert await store.list_messages("other", ALL, before=None, limit=10) == []


@pytest.mark.parametrize("states", [ALL, ("dead",)], ids=["all", "dead"])
async def test_an_index_serves_the_list_of_the_outbox_in_order_and_from_any_page(
    application: Application, states: Sequence[State]
) -> None:
    for _ in range(35):  # one after the other: hardly two in one millisecond
        await place(application)
    await application.store.outbox.update_many({}, {"$set": {"state": "dead"}})
    await application.store.database.command("profile", 2)
    before = None
    for _ in range(3):
        page = await application.store.list_messages("default", states, before=before, limit=10)
        before = at_and_id(page[-1].created_at, page[-1].id)
    queries = await application.store.database["system.profile"].find({"command.find": "outbox"}).to_list()
    assert len(queries) == 3
    for query in queries:
        assert "COLLSCAN" not in query["planSummary"]
        assert "hasSortStage" not in query
        assert query["docsExamined"] <= 12, query["planSummary"]
