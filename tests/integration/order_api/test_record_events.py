"""C2, C3, C14, C19, C20: what the provider says is stored once, and tells the order once."""

import asyncio
from typing import Any

import msgspec
import pytest
from bson import Int64

from order_api.app import Application
from order_api.calls import Call
from shared.ids import new_id
from tests.integration.order_api.conftest import (
    MakeApplication,
    calls_of,
    charge_call_of,
    charge_of,
    event_bytes,
    place,
    received,
    refund_of,
    restore,
    stored_order,
)


async def test_a_succeeded_payment_makes_the_order_paid_and_is_kept_with_its_bytes(application: Application) -> None:
    order = await place(application)
    raw = event_bytes(charge_of(order))
    assert await application.record_events(received(raw)) == "applied"
    order = await stored_order(application, order.id)
    assert order.status == "Paid"
    assert [change.status for change in order.history] == ["Pending", "Paid"]
    [event] = await application.store.events_of(order.id)
    assert (event.raw.encode(), event.outcome, event.times_received) == (raw, "applied", 1)


async def test_an_event_that_comes_many_times_at_once_takes_effect_once(make_application: MakeApplication) -> None:
    async with make_application() as one, make_application() as other:
        order = await place(one)
        event = received(event_bytes(charge_of(order)))
        outcomes = await asyncio.gather(*(replica.record_events(event) for replica in (one, other) for _ in range(20)))
        # Whoever stored it, and at most one who was faster than that to write what became of it.
        assert outcomes.count("applied") in {1, 2}
        assert {*outcomes} == {"applied", "duplicate"}
        [stored] = await one.store.events_of(order.id)
        assert stored.times_received == 40
        assert len((await stored_order(one, order.id)).history) == 2


async def test_c3_all_that_one_batch_says_about_an_order_is_one_write(application: Application) -> None:
    """A failed and a succeeded charge, and their duplicates, all at once: nothing is lost between them."""
    order = await place(application)
    failed = charge_of(order, status="failed", failure_code="card_declined")
    events = [event_bytes(failed, "payment.failed"), event_bytes(charge_of(order)), event_bytes(charge_of(order))]
    await asyncio.gather(*(application.record_events(received(raw)) for raw in events))
    order = await stored_order(application, order.id)
    assert sorted(charge.state for charge in order.charges) == ["failed", "succeeded", "succeeded"]
    assert order.status == "Paid"
    assert order.version <= 4


async def test_c3_an_order_changed_by_another_replica_meanwhile_keeps_both_changes(
    make_application: MakeApplication,
) -> None:
    async with make_application() as one, make_application() as other:
        order = await place(one)
        events = [event_bytes(charge_of(order)) for _ in range(16)]
        await asyncio.gather(
            *(replica.record_events(received(raw)) for replica, raw in zip([one, other] * 8, events, strict=True))
        )
        assert len((await stored_order(one, order.id)).charges) == 16


async def test_c3_an_order_that_was_changed_since_it_was_read_is_read_and_judged_again(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = await place(application)
    changes = application.store._change
    real, bumped = changes._write, asyncio.Event()

    async def after_somebody_else(folds: Any) -> None:
        if not bumped.is_set():
            bumped.set()
            await application.store.orders.update_one({"_id": order.id}, {"$inc": {"version": Int64(1)}})
        await real(folds)

    monkeypatch.setattr(changes, "_write", after_somebody_else)
    assert await application.record_events(received(event_bytes(charge_of(order)))) == "applied"
    after = await stored_order(application, order.id)
    assert (after.status, after.version, len(after.history)) == ("Paid", order.version + 2, 2)


async def test_c14_an_event_completes_its_call_and_passes_its_claim(application: Application) -> None:
    order = await place(application)
    [claimed] = await application.dispatch_outbox._claim(1)
    await application.record_events(received(event_bytes(charge_of(order))))
    after = await charge_call_of(application, order)
    assert (after["state"], after["claim"], after["due_at"]) == ("done", None, None)
    await application.dispatch_outbox._give_back(order.id, msgspec.convert(claimed.call, Call))
    assert await charge_call_of(application, order) == after


async def test_c19_an_unknown_type_is_ignored_for_good(application: Application) -> None:
    raw = msgspec.json.encode({"id": "evt_1", "type": "payout.paid", "timestamp": "2026-01-01T00:00:00Z", "data": {}})
    assert await application.record_events(received(raw)) == "ignored"
    assert await application.record_events(received(raw)) == "duplicate"


async def test_c19_a_wrong_amount_changes_no_money_and_the_right_event_still_does(application: Application) -> None:
    order = await place(application)
    wrong = charge_of(order, amount=1)
    assert await application.record_events(received(event_bytes(wrong))) == "mismatch"
    mistold = await stored_order(application, order.id)
    assert (mistold.status, mistold.charges) == ("Pending", ())
    assert [review.code for review in mistold.reviews] == ["event-mismatch"]
    right = event_bytes(charge_of(order, id=wrong.id))
    assert await application.record_events(received(right)) == "applied"
    assert (await stored_order(application, order.id)).status == "Paid"


async def test_c19_a_mismatch_is_judged_again_when_its_id_comes_with_the_right_bytes(application: Application) -> None:
    order = await place(application)
    event_id = new_id("evt")
    wrong = event_bytes(charge_of(order, amount=1), event_id=event_id)
    right = event_bytes(charge_of(order), event_id=event_id)
    assert await application.record_events(received(wrong)) == "mismatch"
    assert await application.record_events(received(wrong)) == "mismatch"
    assert await application.record_events(received(right)) == "applied"
    assert (await stored_order(application, order.id)).status == "Paid"
    kept = {event.raw: event.outcome for event in await application.store.events_of(order.id)}
    assert kept == {wrong.decode(): "mismatch", right.decode(): "applied"}


async def test_c19_an_unmatched_event_is_judged_again_when_it_comes_again(application: Application) -> None:
    order = await place(application)
    charge = charge_of(order, reference=new_id("ord"))
    raw = event_bytes(charge)
    assert await application.record_events(received(raw)) == "unmatched"
    # The order turns up, as after a restore from a backup.
    await restore(application, order, charge.reference)
    assert await application.record_events(received(raw)) == "applied"
    assert (await stored_order(application, charge.reference)).status == "Paid"


async def test_c19_a_payment_is_not_dropped_because_the_order_has_failed(application: Application) -> None:
    order = await place(application)
    failed = charge_of(order, status="failed", failure_code="card_declined")
    await application.record_events(received(event_bytes(failed, "payment.failed")))
    assert (await stored_order(application, order.id)).status == "Failed"
    await application.record_events(received(event_bytes(charge_of(order, id=failed.id))))
    assert (await stored_order(application, order.id)).status == "Paid"
    late = event_bytes(failed, "payment.failed")
    assert await application.record_events(received(late)) == "applied"
    assert (await stored_order(application, order.id)).status == "Paid"


async def test_c20_other_bytes_under_an_applied_id_are_kept_and_raise_a_review(application: Application) -> None:
    order = await place(application)
    event_id = new_id("evt")
    first = event_bytes(charge_of(order), event_id=event_id)
    other = event_bytes(charge_of(order, amount=1), event_id=event_id)
    assert await application.record_events(received(first)) == "applied"
    assert await application.record_events(received(other)) == "duplicate"
    assert await application.record_events(received(other)) == "duplicate"
    order = await stored_order(application, order.id)
    assert order.status == "Paid"
    assert [review.code for review in order.reviews] == ["event-altered"]
    kept = [(event.raw, event.times_received) for event in await application.store.events_of(order.id)]
    assert sorted(kept) == sorted([(first.decode(), 1), (other.decode(), 2)])


async def test_c2_a_second_payment_is_refunded_once_and_raises_a_review(make_application: MakeApplication) -> None:
    async with make_application() as one, make_application() as other:
        order = await place(one)
        kept, second = charge_of(order), charge_of(order)
        await one.record_events(received(event_bytes(kept)))
        again = [event_bytes(second) for _ in range(6)]  # six events of their own ids about one charge
        await asyncio.gather(
            *(replica.record_events(received(raw)) for replica, raw in zip([one, other] * 3, again, strict=True))
        )
        order = await stored_order(one, order.id)
        assert order.status == "Paid"
        [refund] = order.refunds
        assert (refund.charge_id, refund.amount_minor, refund.cause) == (second.id, 9999, "duplicateCharge")
        assert [review.code for review in order.reviews] == ["second-charge"]
        [call] = await calls_of(one, kind="refund")
        assert (call["refund_id"], call["path"]) == (refund.id, f"/v1/charges/{second.id}/refunds")


async def test_a_refund_event_settles_the_refund_that_was_asked_for(application: Application) -> None:
    order = await place(application)
    for charge in (charge_of(order), charge_of(order)):
        await application.record_events(received(event_bytes(charge)))
    order = await stored_order(application, order.id)
    [asked] = order.refunds
    assert await application.record_events(received(event_bytes(refund_of(order), "refund.succeeded"))) == "applied"
    order = await stored_order(application, order.id)
    assert order.refunds[0].state == "succeeded"
    assert order.status == "Paid"  # what was given back is the second charge
    [call] = await calls_of(application, refund_id=asked.id)
    assert call["state"] == "done"


async def test_a_failed_automatic_refund_is_asked_for_again_under_a_new_id(application: Application) -> None:
    order = await place(application)
    for charge in (charge_of(order), charge_of(order)):
        await application.record_events(received(event_bytes(charge)))
    order = await stored_order(application, order.id)
    failed = event_bytes(refund_of(order, status="failed", failure_code="insufficient_funds"), "refund.failed")
    assert await application.record_events(received(failed)) == "applied"
    order = await stored_order(application, order.id)
    assert sorted(refund.state for refund in order.refunds) == ["failed", "requested"]
    assert {review.code for review in order.reviews} == {"second-charge", "refund-failed"}
    assert len(await calls_of(application, kind="refund")) == 2


async def test_c20_bytes_under_an_applied_id_that_name_another_order_raise_the_first_ones_review(
    application: Application,
) -> None:
    order, other = await place(application), await place(application)
    event_id = new_id("evt")
    assert await application.record_events(received(event_bytes(charge_of(order), event_id=event_id))) == "applied"
    assert await application.record_events(received(event_bytes(charge_of(other), event_id=event_id))) == "duplicate"
    assert [review.code for review in (await stored_order(application, order.id)).reviews] == ["event-altered"]
    assert (await stored_order(application, other.id)).status == "Pending"


async def test_a_payment_whose_data_does_not_decode_raises_the_review_of_the_order_it_names(
    application: Application,
) -> None:
    order = await place(application)
    raw = event_bytes(charge_of(order)).replace(b'"amount":9999', b'"amount":"9999"')
    assert await application.record_events(received(raw)) == "mismatch"
    assert [review.code for review in (await stored_order(application, order.id)).reviews] == ["event-mismatch"]
