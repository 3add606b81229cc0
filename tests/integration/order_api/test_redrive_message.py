"""C13, C15, C17, C18: a dead letter is explained, and sent again without anything being done twice."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from aiohttp import web

from order_api.app import Application
from order_api.calls import ATTEMPTS_MAX, Call
from order_api.order import Order
from order_api.redrive_message import NotRedrivable, Redriven
from shared.not_found import NotFound
from shared.pages import Paging
from shared.times import utc_now
from tests.http_double import Answer, Asked, HttpDouble, always
from tests.integration.conftest import FailCommand
from tests.integration.order_api.conftest import (
    MakeApplication,
    accept_charges,
    accept_everything,
    as_json,
    calls_of,
    charge_call_of,
    charge_of,
    event_bytes,
    make_due,
    paid,
    place,
    received,
    refund,
    stored_order,
)
from tests.scraping import profiled

INVALID = '{"type": "/problems/invalid-fields"}'
ALL = ("ready", "leased", "dead")


async def dispatch(application: Application, **changes: Any) -> None:
    """One round with all that waits due now."""
    await make_due(application, **changes)
    await application.dispatch_outbox.work.run_once()


async def given_up(application: Application, provider: HttpDouble) -> Order:
    """An order whose charge call was tried without an answer until it was dead."""
    order = await place(application)
    provider.answer = always(500)
    await dispatch(application, attempts=ATTEMPTS_MAX - 1, first_attempt_at=utc_now() - timedelta(hours=1))
    assert (await charge_call_of(application, order))["state"] == "dead"
    return order


async def redrive(application: Application, order: Order) -> Call:
    outcome = await application.redrive_message("default", (await charge_call_of(application, order))["id"])
    assert isinstance(outcome, Redriven), outcome
    return outcome.call


def having(*charges: Any) -> Answer:
    """A provider that has these charges, and takes another."""

    async def answer(asked: Asked) -> web.StreamResponse:
        if asked.method == "GET":
            return web.json_response({"data": [as_json(charge) for charge in charges], "nextCursor": None})
        return await accept_charges(asked)

    return answer


async def test_a_dead_call_is_ready_again_and_its_review_closed(application: Application, provider: HttpDouble) -> None:
    order = await given_up(application, provider)
    dead = await charge_call_of(application, order)
    shown = await redrive(application, order)
    call = await charge_call_of(application, order)
    assert msgspec.convert(call, Call) == shown
    assert (call["state"], call["attempts"], call["redrives"]) == ("open", 0, 1)
    assert call["redriven_at"] == call["updated_at"]
    assert call["first_attempt_at"] == dead["first_attempt_at"]
    [review] = (await stored_order(application, order.id)).reviews
    assert (review.decision, review.resolved_at) == ("redriven", call["redriven_at"])


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
    assert (await charge_call_of(application, order))["state"] == "done"
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
    assert (await charge_call_of(application, order))["state"] == "done"


async def test_c15_a_redriven_call_counts_as_possibly_done(application: Application, provider: HttpDouble) -> None:
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
    call = await charge_call_of(application, order)
    assert call["state"] == "void"
    assert call["settled_claim"] is not None


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
    assert (provider.posts(), (await charge_call_of(application, order))["state"]) == ([], "void")


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
    order = await given_up(application, provider)
    for _ in range(2):
        await redrive(application, order)
        await dispatch(application, attempts=ATTEMPTS_MAX - 1)
    call = await charge_call_of(application, order)
    reviews = (await stored_order(application, order.id)).reviews
    assert [(review.event_id, review.decision) for review in reviews] == [
        (call["id"], "redriven"),
        (f"{call['id']}~1", "redriven"),
        (f"{call['id']}~2", None),
    ]


async def test_c15_what_was_refused_for_good_is_never_redriven(application: Application, provider: HttpDouble) -> None:
    order = await place(application)
    provider.answer = always(422, INVALID)
    await dispatch(application)
    call = await charge_call_of(application, order)
    outcome = await application.redrive_message("default", call["id"])
    assert isinstance(outcome, NotRedrivable)
    assert (call["state"], outcome.call.refused_code) == ("done", "invalid-fields")
    assert await charge_call_of(application, order) == call
    assert (await application.store.list_calls("default", ALL, Paging(limit=10))).things == []


async def test_c15_a_redrive_that_is_refused_for_good_ends_the_call_and_the_order_may_be_paid_again(
    application: Application, provider: HttpDouble
) -> None:
    order = await given_up(application, provider)
    provider.answer = refusing_after_a_look
    await redrive(application, order)
    await dispatch(application)
    call = await charge_call_of(application, order)
    assert (call["state"], call["refused_code"]) == ("done", "invalid-fields")
    order = await stored_order(application, order.id)
    assert (order.status, [review.decision for review in order.reviews]) == ("Failed", ["redriven"])


async def refusing_after_a_look(asked: Asked) -> web.StreamResponse:
    if asked.method == "GET":
        return web.json_response({"data": [], "nextCursor": None})
    return web.Response(status=422, text=INVALID)


async def test_c11_a_redriven_call_that_could_not_be_sent_stays_one_that_was_attempted(
    application: Application, provider: HttpDouble
) -> None:
    """Giving a claim back must not make it look as if it had never been sent, or cancelling would void it."""
    order = await given_up(application, provider)
    first = (await charge_call_of(application, order))["first_attempt_at"]
    await redrive(application, order)
    [claimed] = await application.dispatch_outbox._claim(1)
    await application.dispatch_outbox._give_back(order.id, msgspec.convert(claimed.call, Call))
    await application.cancel_order("default", order.id)
    call = await charge_call_of(application, order)
    assert (call["state"], call["attempts"], call["first_attempt_at"]) == ("open", 0, first)


async def test_only_a_dead_charge_call_of_ones_own_is_redriven_and_once(
    make_application: MakeApplication, provider: HttpDouble
) -> None:
    async with make_application() as one, make_application() as other:
        order = await place(one)
        call_id = (await charge_call_of(one, order))["id"]
        assert isinstance(await one.redrive_message("default", call_id), NotRedrivable)
        dead = await given_up(one, provider)
        call_id = (await charge_call_of(one, dead))["id"]
        assert await one.redrive_message("other", call_id) == NotFound("message")
        assert await one.redrive_message("default", "obx_none") == NotFound("message")
        outcomes = await asyncio.gather(*(app.redrive_message("default", call_id) for app in [one, other] * 5))
        assert [isinstance(outcome, Redriven) for outcome in outcomes].count(True) == 1
        assert (await charge_call_of(one, dead))["redrives"] == 1


async def test_c18_a_refund_is_redriven_only_while_it_may_have_been_made(
    application: Application, provider: HttpDouble
) -> None:
    order = await paid(application)
    for _ in range(2):
        await refund(application, order, 1000)
    provider.answer = always(500)
    await dispatch(application, attempts=ATTEMPTS_MAX - 1, first_attempt_at=utc_now())
    refused, lost = await calls_of(application, kind="refund", state="dead")
    released = {"refunds.$.state": "refused", "refunds.$.failure_code": "exceeds-paid"}
    await application.store.orders.update_one({"refunds.id": refused["refund_id"]}, {"$set": released})
    assert isinstance(await application.redrive_message("default", refused["id"]), NotRedrivable)
    assert isinstance(await application.redrive_message("default", lost["id"]), Redriven)
    provider.answer = accept_everything
    await dispatch(application)
    assert [call["state"] for call in await calls_of(application, id=lost["id"])] == ["done"]


async def test_the_outbox_is_listed_by_the_newest_order_page_by_page(
    application: Application, provider: HttpDouble
) -> None:
    """Calls of one order and of several, some of them of one instant: each once, and what is over not at all."""
    orders = [await place(application) for _ in range(4)]
    await application.cancel_order("default", orders[1].id)
    await application.record_events(received(event_bytes(charge_of(orders[0]))))
    await asyncio.gather(*(refund(application, orders[0], 10) for _ in range(5)))
    store = application.store
    page, before = await store.list_calls("default", ALL, Paging(limit=2))
    seen = page
    while before:
        page, before = await store.list_calls("default", ALL, Paging(limit=2, after=before))
        seen += page
    order_ids = [order_id for order_id, _ in seen]
    assert order_ids == [orders[3].id, orders[2].id, *[orders[0].id] * 5]
    refunds = [call.id for order_id, call in seen if order_id == orders[0].id]
    assert refunds == sorted(refunds, reverse=True)
    assert len({call.id for _, call in seen}) == 7
    assert (await store.list_calls("other", ALL, Paging(limit=10))).things == []
    await application.dispatch_outbox._claim(2)
    for states, number in ((["leased"], 2), (["ready"], 5), (["dead"], 0), (["leased", "dead"], 2)):
        assert len((await store.list_calls("default", states, Paging(limit=10))).things) == number, states
    provider.answer = always(500)
    await dispatch(application, attempts=ATTEMPTS_MAX - 1, first_attempt_at=utc_now())
    for states, number in ((["leased"], 0), (["ready"], 0), (["dead"], 7), (["leased", "dead"], 7)):
        assert len((await store.list_calls("default", states, Paging(limit=10))).things) == number, states


@pytest.mark.parametrize("states", [ALL, ("dead",), ("ready",)], ids=["all", "dead", "ready"])
async def test_an_index_serves_the_list_of_the_outbox(
    application: Application, provider: HttpDouble, states: Sequence[str]
) -> None:
    """What is at rest is not read."""
    await asyncio.gather(*(place(application) for _ in range(30)))
    await application.dispatch_outbox.work.run_once()
    await given_up(application, provider)
    await place(application)
    async with profiled(application.store.database) as queries:
        page, _ = await application.store.list_calls("default", states, Paging(limit=10))
    plans = {query["planSummary"] for query in queries}
    assert sum(query["docsExamined"] for query in queries) == len(page) > 0, plans


async def test_a_page_of_the_outbox_reads_no_more_orders_than_it_shows_however_many_wait(
    application: Application,
) -> None:
    await asyncio.gather(*(place(application) for _ in range(40)))
    before = None
    for _ in range(3):
        async with profiled(application.store.database) as queries:
            page, before = await application.store.list_calls("default", ALL, Paging(limit=5, after=before))
        assert len(page) == 5
        assert sum(query["docsExamined"] for query in queries) <= 5 + 2, queries


async def test_c9_that_there_is_no_such_call_is_said_only_when_a_write_of_our_own_has_shown_it(
    application: Application, monkeypatch: pytest.MonkeyPatch, provider: HttpDouble
) -> None:
    """A refund's call is found through an index; a primary that is behind may not have it yet."""
    await refund(application, await paid(application), 1000)
    [call] = await calls_of(application, kind="refund")
    orders = application.store.orders
    real, looks = type(orders).find_one, []

    async def behind_at_first(self: Any, wanted: Any, *arguments: Any, **options: Any) -> Any:
        if "calls.id" in wanted:
            looks.append(wanted)
            if len(looks) == 1:
                return None
        return await real(self, wanted, *arguments, **options)

    monkeypatch.setattr(type(orders), "find_one", behind_at_first)
    outcome = await application.redrive_message("default", call["id"])
    assert isinstance(outcome, NotRedrivable)
    assert outcome.call.id == call["id"]


async def test_c4_a_redrive_whose_reply_was_lost_is_answered_as_made(
    application: Application, provider: HttpDouble, fail_command: FailCommand
) -> None:
    order = await given_up(application, provider)
    unconfirmed = {"code": 64, "errmsg": "waiting for replication timed out"}
    await fail_command("order_api", ["update"], times=1, writeConcernError=unconfirmed)
    assert (await redrive(application, order)).redrives == 1
