"""C2, C3, C14, C19, C20: what the provider says is stored once, and tells the order once."""

import asyncio
import base64
import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from bson import Int64

from order_api.app import Application
from order_api.calls import Call
from order_api.money import ExceedsPaid, sums
from order_api.order import Order
from shared import wire
from shared.env import Secret
from shared.ids import new_id
from shared.signing import sign
from shared.times import rfc3339, utc_now
from tests.http_double import HttpDouble
from tests.integration.order_api.conftest import (
    MakeApplication,
    calls_of,
    charge_call_of,
    charge_of,
    dispute_of,
    event_bytes,
    events_of,
    paid,
    place,
    received,
    refund,
    refund_by_hand,
    refund_of,
    restore,
    stored_order,
)


async def test_an_event_is_kept_with_the_time_of_its_signature_and_which_of_our_secrets_made_it(
    make_application: MakeApplication,
) -> None:
    new, old = (Secret(f"whsec_{base64.b64encode(bytes([byte] * 32)).decode()}") for byte in (1, 2))
    async with make_application(webhook_secrets=(new, old)) as application:
        order = await place(application)
        signed_at = int(utc_now().timestamp()) - 7
        for secret, meant in ((old, "previous"), (new, "current")):
            raw = event_bytes(charge_of(order))
            await application.receive_webhook([sign(raw, [secret], signed_at)], raw)
            stored = await application.store.payment_events.find_one({"_id": json.loads(raw)["id"]}) or {}
            assert (stored["secret"], stored["signed_at"].timestamp()) == (meant, signed_at)


async def test_a_succeeded_payment_makes_the_order_paid_and_is_kept_with_its_bytes(application: Application) -> None:
    order = await place(application)
    raw = event_bytes(charge_of(order))
    assert await application.record_events(received(raw)) == "applied"
    order = await stored_order(application, order.id)
    assert order.status == "Paid"
    assert [change.status for change in order.history] == ["Pending", "Paid"]
    [event] = await events_of(application, order)
    assert (event.raw.encode(), event.outcome, event.times_received) == (raw, "applied", 1)


async def test_an_event_that_comes_many_times_at_once_takes_effect_once(make_application: MakeApplication) -> None:
    async with make_application() as one, make_application() as other:
        order = await place(one)
        event = received(event_bytes(charge_of(order)))
        outcomes = await asyncio.gather(*(replica.record_events(event) for replica in (one, other) for _ in range(20)))
        # Whoever stored it, and at most one who was faster than that to write what became of it.
        assert outcomes.count("applied") in {1, 2}
        assert {*outcomes} == {"applied", "duplicate"}
        [stored] = await events_of(one, order)
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
    kept = {event.raw: event.outcome for event in await events_of(application, order)}
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
    kept = [(event.raw, event.times_received) for event in await events_of(application, order)]
    assert sorted(kept) == sorted([(first.decode(), 1), (other.decode(), 2)])


async def test_c2_a_second_payment_is_refunded_once_by_itself_and_nobody_has_to_look(
    make_application: MakeApplication,
) -> None:
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
        assert order.reviews == ()
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


async def test_c2_a_failed_automatic_refund_is_asked_for_again_under_a_new_id_after_a_pause(
    application: Application, provider: HttpDouble
) -> None:
    order = await place(application)
    for charge in (charge_of(order), charge_of(order)):
        await application.record_events(received(event_bytes(charge)))
    order = await stored_order(application, order.id)
    failed = event_bytes(refund_of(order, status="failed", failure_code="insufficient_funds"), "refund.failed")
    assert await application.record_events(received(failed)) == "applied"
    order = await stored_order(application, order.id)
    assert sorted(refund.state for refund in order.refunds) == ["failed", "requested"]
    assert len({refund.id for refund in order.refunds}) == 2
    assert order.reviews == (), "a first failure is history"
    [again] = await calls_of(application, kind="refund", state="open")
    assert again["due_at"] - again["created_at"] == timedelta(minutes=1)
    assert await application.dispatch_outbox.work.run_once() == 0
    assert provider.posts() == []


async def test_c19_an_event_whose_type_was_unknown_is_judged_once_it_is_known(application: Application) -> None:
    """By an upgrade of ours, or because the provider corrects itself under the same id."""
    order = await place(application)
    raw = event_bytes(charge_of(order))
    upgraded, corrected = (new_id("evt") for _ in range(2))
    ours = raw.replace(json.loads(raw)["id"].encode(), upgraded.encode())
    await application.record_events(received(ours.replace(b"payment.succeeded", b"payment.noticed")))
    await application.store.payment_events.update_one(
        {"_id": upgraded}, {"$set": {"type": "payment.succeeded", "raw": ours.decode()}}
    )
    assert (await stored_order(application, order.id)).status == "Pending"
    assert await application.record_events(received(ours)) == "applied"
    assert (await stored_order(application, order.id)).status == "Paid"

    order = await place(application)
    right = event_bytes(charge_of(order), event_id=corrected)
    first = right.replace(b"payment.succeeded", b"payment.noticed")
    assert await application.record_events(received(first)) == "ignored"
    assert await application.record_events(received(right)) == "applied"
    assert await application.record_events(received(right)) == "duplicate"
    order = await stored_order(application, order.id)
    assert (order.status, order.reviews) == ("Paid", ())
    kept = {event.raw: event.outcome for event in await events_of(application, order)}
    assert kept == {right.decode(): "applied", first.decode(): "ignored"}

    order = await place(application)
    wrong = event_bytes(charge_of(order, amount=1), event_id=new_id("evt"))
    first = wrong.replace(b"payment.succeeded", b"payment.noticed")
    assert await application.record_events(received(first)) == "ignored"
    assert await application.record_events(received(wrong)) == "mismatch"
    assert [one.code for one in (await stored_order(application, order.id)).reviews] == ["event-mismatch"]


async def test_c20_bytes_under_an_applied_id_that_name_another_order_raise_the_first_ones_review(
    application: Application,
) -> None:
    order, other = await place(application), await place(application)
    event_id = new_id("evt")
    assert await application.record_events(received(event_bytes(charge_of(order), event_id=event_id))) == "applied"
    assert await application.record_events(received(event_bytes(charge_of(other), event_id=event_id))) == "duplicate"
    assert [review.code for review in (await stored_order(application, order.id)).reviews] == ["event-altered"]
    assert (await stored_order(application, other.id)).status == "Pending"


@pytest.mark.parametrize(
    ("name", "value", "detail"),
    [
        ("amount", "9999", "data.amount is not a whole number of minor units, more than 0"),
        ("amount", 9999.0, "data.amount is not a whole number of minor units, more than 0"),
        ("amount", True, "data.amount is not a whole number of minor units, more than 0"),
        ("amount", None, "data.amount is not a whole number of minor units, more than 0"),
        ("currency", "usd", "data.currency is not three capital letters"),
        ("currency", None, "data.currency is not three capital letters"),
        ("status", 1, "data.status is not a text of 1 to 255 characters"),
        ("id", "ch/1", "data.id is not an id"),
    ],
)
async def test_c19_an_odd_member_that_decides_is_a_mismatch_that_names_it(
    application: Application, name: str, value: Any, detail: str
) -> None:
    order = await place(application)
    raw = event_bytes(charge_of(order), **{name: value})
    assert await application.record_events(received(raw)) == "mismatch"
    [event] = await events_of(application, order)
    assert event.detail == detail
    order = await stored_order(application, order.id)
    assert (order.status, order.charges) == ("Pending", ())
    assert [(review.code, review.detail) for review in order.reviews] == [("event-mismatch", detail)]


@pytest.mark.parametrize(
    "members",
    [
        {"metadata": None},
        {"paymentMethod": None},
        {"createdAt": 1767225600},
        {"settledAt": 1767225600},
        {"settledAt": "yesterday"},
        {"failureCode": 7},
        {"amountRefunded": "none"},
        {"somethingNew": [{}]},
    ],
    ids=lambda members: next(iter(members)),
)
async def test_c19_an_odd_member_that_decides_nothing_is_no_mismatch(
    application: Application, members: dict[str, Any]
) -> None:
    order = await place(application)
    assert await application.record_events(received(event_bytes(charge_of(order), **members))) == "applied"
    order = await stored_order(application, order.id)
    assert (order.status, order.reviews) == ("Paid", ())


async def test_c19_members_that_decide_nothing_may_be_missing(application: Application) -> None:
    order = await place(application)
    event = msgspec.json.decode(event_bytes(charge_of(order)))
    decides = {"id", "reference", "amount", "currency", "status"}
    event["data"] = {name: value for name, value in event["data"].items() if name in decides}
    assert await application.record_events(received(msgspec.json.encode(event))) == "applied"
    order = await stored_order(application, order.id)
    [charge] = order.charges
    assert (order.status, rfc3339(charge.at)) == ("Paid", event["timestamp"])


async def test_c19_a_refund_by_hand_is_a_fact_whatever_its_reference_says(application: Application) -> None:
    order, other = await paid(application), await paid(application)
    await refund(application, other, 10)
    [others] = (await stored_order(application, other.id)).refunds
    for number, reference in enumerate(("by hand", order.id, others.id), start=1):
        raw = event_bytes(refund_by_hand(its_charge(order), 1000, reference=reference), "refund.succeeded")
        assert await application.record_events(received(raw)) == "applied"
        after = await stored_order(application, order.id)
        assert [one.cause for one in after.refunds] == ["provider"] * number
        assert (after.status, sums(after).given_back) == ("PartiallyRefunded", 1000 * number)
    assert [one.state for one in (await stored_order(application, other.id)).refunds] == ["requested"]


@pytest.mark.parametrize("amount", [999, 1001], ids=["less", "more"])
async def test_c19_an_event_of_our_refund_about_other_money_is_a_mismatch_and_the_right_one_still_counts(
    application: Application, amount: int
) -> None:
    """Any amount may be refunded by hand; of what we asked for, only that amount."""
    order = await paid(application)
    await refund(application, order, 1000)
    right = refund_of(await stored_order(application, order.id))
    wrong = msgspec.structs.replace(right, amount=amount)
    assert await application.record_events(received(event_bytes(wrong, "refund.succeeded"))) == "mismatch"
    assert await application.record_events(received(event_bytes(right, "refund.succeeded"))) == "applied"
    order = await stored_order(application, order.id)
    assert [(one.amount_minor, one.state) for one in order.refunds] == [(1000, "succeeded")]
    assert [review.code for review in order.reviews] == ["event-mismatch"]


async def test_c19_a_refund_of_no_order_is_unmatched(application: Application) -> None:
    nobodys = charge_of(await paid(application), reference="somebody-elses")
    raw = event_bytes(refund_by_hand(nobodys, 1000), "refund.succeeded")
    assert await application.record_events(received(raw)) == "unmatched"


async def test_c19_an_ignored_event_that_names_our_order_is_in_its_audit_trail(application: Application) -> None:
    order = await place(application)
    raw = event_bytes(charge_of(order), "payment.pondered")
    assert await application.record_events(received(raw)) == "ignored"
    assert [(event.type, event.outcome) for event in await events_of(application, order)] == [
        ("payment.pondered", "ignored")
    ]
    assert (await stored_order(application, order.id)).version == order.version


async def test_c20_an_event_that_is_encoded_anew_is_counted_and_nobody_has_to_look(application: Application) -> None:
    order = await place(application)
    first = event_bytes(charge_of(order))
    event = msgspec.json.decode(first)
    event["data"] = dict(reversed(event["data"].items())) | {"metadata": {"seen": "again"}}
    anew = msgspec.json.format(msgspec.json.encode(event), indent=2)
    assert await application.record_events(received(first)) == "applied"
    assert await application.record_events(received(anew)) == "duplicate"
    [stored] = await events_of(application, order)
    assert (stored.raw.encode(), stored.outcome, stored.times_received) == (first, "applied", 2)
    assert (await stored_order(application, order.id)).reviews == ()


async def test_a_dispute_is_a_fact_and_a_review_until_it_is_won(application: Application) -> None:
    order = await paid(application)
    dispute = dispute_of(its_charge(order))
    assert await application.record_events(received(event_bytes(dispute, "dispute.created"))) == "applied"
    disputed = await stored_order(application, order.id)
    assert (disputed.status, sums(disputed).disputed, sums(disputed).refundable) == ("Paid", 9999, 0)
    assert [(review.code, review.event_id, review.resolved_at) for review in disputed.reviews] == [
        ("dispute", dispute.id, None)
    ]
    assert await refund(application, order) == ExceedsPaid(0, "USD", 2, (dispute.id,))
    won = msgspec.structs.replace(dispute, status="won", closed_at=utc_now())
    assert await application.record_events(received(event_bytes(won, "dispute.closed"))) == "applied"
    order = await stored_order(application, order.id)
    assert (order.status, sums(order).disputed, sums(order).refundable) == ("Paid", 0, 9999)
    assert [review.resolved_at is not None for review in order.reviews] == [True]


def its_charge(order: Order) -> wire.Charge:
    """What the provider says of the order's only charge."""
    [charge] = order.charges
    return charge_of(order, id=charge.id, reference=charge.reference)
