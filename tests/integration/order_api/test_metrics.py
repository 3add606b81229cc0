"""What order_api counts as it works, and what it finds open in the database."""

import asyncio
from datetime import timedelta
from typing import get_args

from order_api.app import Application
from order_api.breaker import FAILURES_TO_OPEN
from order_api.calls import KEY_TRUSTED_FOR
from order_api.order import Status
from order_api.take_stock import counts
from shared.idempotency import Answer
from shared.ids import new_id
from shared.times import utc_now
from tests.http_double import HttpDouble, always
from tests.integration.conftest import FailCommand
from tests.integration.order_api.conftest import (
    charge_of,
    edit_calls,
    event_bytes,
    make_due,
    new_order,
    place,
    received,
)
from tests.scraping import assert_all_through_indexes, stock, value
from tests.waiting import until


def orders(status: str) -> float:
    return value("order_api_orders_total", status=status)


def attempts(result: str) -> float:
    return value("order_api_dispatch_attempts_total", kind="charge", result=result)


async def test_an_insert_that_is_sent_again_counts_once(application: Application, fail_command: FailCommand) -> None:
    pending, unknown = orders("Pending"), value("document_writes_total", batches="orders", result="unknown")
    slow = {"code": 64, "errmsg": "waiting for replication timed out"}
    await fail_command("order_api", ["insert"], times=1, writeConcernError=slow)
    await application.place_order("key", new_order())
    assert orders("Pending") == pending + 1
    assert value("document_writes_total", batches="orders", result="unknown") == unknown + 1


async def test_cancelling_counts_once(application: Application) -> None:
    order, cancelled = await place(application), orders("Cancelled")
    for _ in range(2):
        await application.cancel_order("default", order.id)
    assert orders("Cancelled") == cancelled + 1


async def test_what_is_refused_counts_nothing(application: Application) -> None:
    pending = orders("Pending")
    order = new_order()
    outcomes = await asyncio.gather(*(application.place_order(f"key-{number}", order) for number in range(4)))
    assert sum(isinstance(outcome, Answer) for outcome in outcomes) == 1
    assert orders("Pending") == pending + 1


async def test_every_change_of_an_order_counts_and_nothing_that_is_said_again(application: Application) -> None:
    order = await place(application)
    failed, paid, times = orders("Failed"), orders("Paid"), value("order_api_time_to_paid_seconds_count")
    declined = charge_of(order, status="failed", failure_code="card_declined")
    good = event_bytes(charge_of(order), event_id=new_id("evt"))
    await application.record_events(received(event_bytes(declined, "payment.failed")))
    for _ in range(3):
        await application.record_events(received(good))
    assert (orders("Failed"), orders("Paid")) == (failed + 1, paid + 1)
    assert value("order_api_time_to_paid_seconds_count") == times + 1


async def test_attempts_count_by_the_reply_and_look_ups_by_what_was_found(
    application: Application, provider: HttpDouble
) -> None:
    accepted, unavailable = attempts("accepted"), attempts("unavailable")
    openings = value("order_api_breaker_openings_total")
    nothing = value("order_api_dispatch_look_ups_total", result="nothing")
    for _ in range(FAILURES_TO_OPEN):
        await place(application)
    answer, provider.answer = provider.answer, always(500)
    await application.dispatch_outbox.work.run_once()
    assert (attempts("accepted"), attempts("unavailable")) == (accepted, unavailable + FAILURES_TO_OPEN)
    assert value("order_api_breaker_openings_total") == openings + 1
    assert value("order_api_breaker_state") in {1, 2}, "a busy machine may take longer than its first cool-down"
    provider.answer = answer
    long_ago = utc_now() - KEY_TRUSTED_FOR - timedelta(hours=1)
    await make_due(application, created_at=long_ago)

    async def breaker_is_half_open() -> bool:
        return value("order_api_breaker_state") == 1

    await until(breaker_is_half_open, "the breaker's cool-down ends")
    await application.dispatch_outbox.work.run_once()
    assert attempts("accepted") == accepted + 1
    assert value("order_api_dispatch_look_ups_total", result="nothing") == nothing + 1
    assert value("order_api_breaker_state") == 0


async def test_what_is_open_is_counted_and_nothing_that_is_settled(application: Application) -> None:
    now = utc_now()
    placed = [await place(application) for _ in range(5)]
    for order in placed[:2]:
        await application.record_events(received(event_bytes(charge_of(order))))
    await application.record_events(received(event_bytes(charge_of(placed[2], amount=1))))
    for _ in range(2):
        await application.record_events(received(event_bytes(charge_of(placed[3], reference=new_id("ord")))))
    store = application.store
    [put_to_rest, _] = await store.payment_events.find({"outcome": "unmatched"}).to_list()
    await store.payment_events.update_one({"_id": put_to_rest["_id"]}, {"$set": {"reconcile_at": None}})
    for order, hours in zip(placed, (9, 8, 7, 6, 5), strict=True):
        await store.orders.update_one({"_id": order.id}, {"$set": {"created_at": now - timedelta(hours=hours)}})
    await edit_calls(application, {"reference": placed[4].id}, state="dead", due_at=None)
    hour_ago = now - timedelta(hours=1)
    await edit_calls(application, {"state": "open"}, created_at=hour_ago, due_at=hour_ago)

    found = await stock(counts(store))
    ages = {name: round(found[name] / 3600) for name in found if name.endswith("_seconds")}
    assert {name: number for name, number in found.items() if name not in ages} == {
        **{f"order_api_orders {status}": 0 for status in get_args(Status)},
        "order_api_orders Paid": 2,
        "order_api_orders Pending": 3,
        "order_api_pending_orders": 3,
        "order_api_outbox_messages ready": 2,
        "order_api_outbox_messages leased": 0,
        "order_api_outbox_messages dead": 1,
        "order_api_open_reviews event-mismatch": 1,
        "order_api_unmatched_events": 1,
    }
    assert ages == {
        "order_api_pending_order_oldest_age_seconds": 6,  # the one of seven hours has a review
        "order_api_outbox_oldest_due_age_seconds": 1,
    }


async def test_a_call_that_is_new_has_not_been_due_for_long(application: Application) -> None:
    await place(application)
    found = await stock(counts(application.store))
    assert 0 < found["order_api_outbox_oldest_due_age_seconds"] < 60  # it is dated back by a minute


async def test_a_resolved_review_is_not_open(application: Application) -> None:
    order = await place(application)
    await application.record_events(received(event_bytes(charge_of(order, amount=1))))
    await application.store.orders.update_one({}, {"$set": {"reviews.0.resolved_at": utc_now()}})
    assert not any(name.startswith("order_api_open_reviews") for name in await stock(counts(application.store)))


async def test_counting_what_is_open_reads_nothing_but_through_indexes(application: Application) -> None:
    await place(application)
    await assert_all_through_indexes(application.store.database, lambda: stock(counts(application.store)))
