"""C20, C21: an event is stored, then merged, then marked. Wherever a process dies in between, doing it again mends it."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from order_api.app import Application
from order_api.event import altered_id
from order_api.order import Order
from shared.ids import new_id
from shared.mongo import Document
from shared.times import utc_now
from tests.http_double import HttpDouble
from tests.integration.order_api.conftest import (
    MakeApplication,
    charge_of,
    event_bytes,
    place,
    received,
    stored_order,
)
from tests.integration.order_api.test_reconcile import serving

STEPS_MAX = 12


class KilledError(Exception):
    """As good as a kill: nothing of the flow runs after it."""


@contextmanager
def killed_before(application: Application, step: int) -> Iterator[None]:
    """What the flow reads and writes works `step` times, and then never again."""
    left = step
    patch = pytest.MonkeyPatch()

    def counting(real: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            if left == 0:
                raise KilledError
            left -= 1
            return await real(*arguments, **options)

        return call

    store = application.store
    for owner, name in ((store, "change"), (store.events, "insert"), (store.events, "change"), (store.events, "read")):
        patch.setattr(owner, name, counting(getattr(owner, name)))
    try:
        yield
    finally:
        patch.undo()


async def take_up(application: Application) -> None:
    """Every event that is still to be looked at is, once."""
    past = {"$set": {"reconcile_at": utc_now() - timedelta(seconds=1)}}
    await application.store.payment_events.update_many({"reconcile_at": {"$type": "date"}}, past)
    await application.store.orders.update_many({}, {"$set": {"reconcile_at": None}})
    while await application.reconcile.work.run_once():
        pass


async def events(application: Application) -> dict[str, Document]:
    return {event["_id"]: event async for event in application.store.payment_events.find()}


async def assert_no_fact_without_its_event(application: Application, order: Order) -> None:
    stored = await events(application)
    applied = [event for event in stored.values() if event["outcome"] == "applied" and event["order_id"] == order.id]
    known = {charge.id for charge in (await stored_order(application, order.id)).charges}
    assert known <= {event["charge_id"] for event in stored.values()}
    assert {event["charge_id"] for event in applied} <= known


@pytest.mark.parametrize("how", ["it comes again", "it is taken up"])
async def test_c21_a_kill_between_any_two_steps_is_mended(
    application: Application, provider: HttpDouble, how: str
) -> None:
    provider.answer = serving()
    for step in range(STEPS_MAX):
        order = await place(application)
        event = received(event_bytes(charge_of(order)))
        with killed_before(application, step):
            [result] = await asyncio.gather(application.record_events(event), return_exceptions=True)
        await assert_no_fact_without_its_event(application, order)
        stored = event.id in await events(application)
        if how == "it is taken up" and stored:  # else the provider, which heard no 2xx, sends it again
            await take_up(application)
        else:
            assert await application.record_events(event) in {"applied", "duplicate"}
        assert (await events(application))[event.id]["outcome"] == "applied"
        order = await stored_order(application, order.id)
        assert (order.status, len(order.history)) == ("Paid", 2)
        if result == "applied":
            assert step == 3, "stored, merged, marked"
            return
        assert isinstance(result, KilledError)
    raise AssertionError("it never came to an end")


async def test_c20_a_kill_while_other_bytes_are_kept_is_mended(application: Application, provider: HttpDouble) -> None:
    provider.answer = serving()
    for step in range(STEPS_MAX):
        order, event_id = await place(application), new_id("evt")
        first = received(event_bytes(charge_of(order), event_id=event_id))
        other = received(event_bytes(charge_of(order), event_id=event_id))
        assert await application.record_events(first) == "applied"
        with killed_before(application, step):
            [result] = await asyncio.gather(application.record_events(other), return_exceptions=True)
        await take_up(application)
        beside = altered_id(event_id, other.raw)
        kept = {one: event["outcome"] for one, event in (await events(application)).items() if one.startswith(event_id)}
        assert kept in ({event_id: "applied"}, {event_id: "applied", beside: "duplicate"})
        reviews = [review.code for review in (await stored_order(application, order.id)).reviews]
        assert reviews == (["event-altered"] if beside in kept else [])
        assert await application.record_events(other) == "duplicate"
        order = await stored_order(application, order.id)
        assert [charge.id for charge in order.charges] == [first.charge_id], "an id~hash is merged into no order"
        assert [review.code for review in order.reviews] == ["event-altered"]
        if result == "duplicate":
            return
        assert isinstance(result, KilledError)
    raise AssertionError("it never came to an end")


async def test_c20_a_kill_while_the_right_bytes_take_their_place_is_mended(
    application: Application, provider: HttpDouble
) -> None:
    provider.answer = serving()
    for step in range(STEPS_MAX):
        order, event_id = await place(application), new_id("evt")
        wrong = received(event_bytes(charge_of(order, amount=1), event_id=event_id))
        right = received(event_bytes(charge_of(order), event_id=event_id))
        assert await application.record_events(wrong) == "mismatch"
        with killed_before(application, step):
            [result] = await asyncio.gather(application.record_events(right), return_exceptions=True)
        await assert_no_fact_without_its_event(application, order)
        await take_up(application)
        stored = (await events(application))[event_id]
        assert (stored["raw"], stored["outcome"]) in ((wrong.raw, "mismatch"), (right.raw, "applied"))
        assert await application.record_events(right) in {"applied", "duplicate"}
        kept = {one: event for one, event in (await events(application)).items() if one.startswith(event_id)}
        assert {one: (event["raw"], event["outcome"]) for one, event in kept.items()} == {
            event_id: (right.raw, "applied"),
            altered_id(event_id, wrong.raw): (wrong.raw, "mismatch"),
        }
        assert (await stored_order(application, order.id)).status == "Paid"
        if result == "applied":
            return
        assert isinstance(result, KilledError)
    raise AssertionError("it never came to an end")


async def test_c20_stored_bytes_that_are_still_received_are_finished_before_others_are_judged(
    application: Application,
) -> None:
    order, event_id = await place(application), new_id("evt")
    first, other = (received(event_bytes(charge_of(order), event_id=event_id)) for _ in range(2))
    with killed_before(application, 1):
        await asyncio.gather(application.record_events(first), return_exceptions=True)
    assert await application.record_events(other) == "duplicate"
    order = await stored_order(application, order.id)
    assert [charge.id for charge in order.charges] == [first.charge_id]
    assert [review.code for review in order.reviews] == ["event-altered"]


async def test_c20_wrong_bytes_twice_are_both_kept_and_the_right_ones_still_pay(application: Application) -> None:
    order, event_id = await place(application), new_id("evt")
    wrong, worse = (received(event_bytes(charge_of(order, amount=one), event_id=event_id)) for one in (1, 2))
    assert [await application.record_events(event) for event in (wrong, worse, worse, wrong)] == ["mismatch"] * 4
    kept = await events(application)
    assert {one: event["outcome"] for one, event in kept.items()} == {
        event_id: "mismatch",
        altered_id(event_id, worse.raw): "mismatch",
    }
    assert [event["times_received"] for event in kept.values()] == [2, 2]
    assert [review.code for review in (await stored_order(application, order.id)).reviews] == ["event-mismatch"]
    assert await application.record_events(received(event_bytes(charge_of(order), event_id=event_id))) == "applied"
    assert (await stored_order(application, order.id)).status == "Paid"
    assert len(await events(application)) == 3


async def test_c21_two_replicas_on_one_event_that_is_still_received_apply_it_once(
    make_application: MakeApplication, provider: HttpDouble
) -> None:
    """The webhook comes again at one while the other takes it up."""
    provider.answer = serving()
    async with make_application() as one, make_application() as other:
        order = await place(one)
        event = received(event_bytes(charge_of(order)))
        with killed_before(one, 1):
            await asyncio.gather(one.record_events(event), return_exceptions=True)
        assert (await events(one))[event.id]["outcome"] == "received"
        await asyncio.gather(take_up(other), one.record_events(event), one.record_events(event))
        stored = (await events(one))[event.id]
        assert (stored["outcome"], stored["reconcile_at"]) == ("applied", None)
        assert len((await stored_order(one, order.id)).history) == 2


async def test_c21_a_judge_that_paused_does_not_write_over_a_final_outcome(
    make_application: MakeApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its order turned up after it had judged; another has judged again, and applied, before it goes on."""
    async with make_application() as slow, make_application() as quick:
        order = await place(slow)
        event = received(event_bytes(charge_of(order)))
        merge, judged, go_on = slow.record_events._merge, asyncio.Event(), asyncio.Event()

        async def pausing(one: Any) -> Any:
            learned = await merge(one) if judged.is_set() else await merge(other_order(one))
            judged.set()
            await go_on.wait()
            return learned

        monkeypatch.setattr(slow.record_events, "_merge", pausing)
        paused = asyncio.create_task(slow.record_events(event))
        await judged.wait()
        assert await quick.record_events(event) == "applied"
        go_on.set()
        assert await paused in {"duplicate", "applied"}
        assert (await events(quick))[event.id]["outcome"] == "applied"
        assert (await stored_order(quick, order.id)).status == "Paid"


def other_order(event: Any) -> Any:
    charge = event.subject
    return received(event.raw.replace(charge.reference, new_id("ord")).encode())
