"""C21: an event is stored, merged into its order, and given its outcome; whatever comes between two of these steps."""

from datetime import timedelta
from typing import Any, cast

import pytest
from bson import Int64

from order_api.app import Application
from order_api.event import ReceivedEvent, StoredEvent
from order_api.event import Verdict as Judgement
from order_api.order import Order
from order_api.record_events import Learned
from order_api.store import Store
from shared.batches import UnavailableError
from shared.documents import Documents
from shared.mongo import Document
from shared.times import utc_now
from tests.integration.order_api.conftest import (
    MakeApplication,
    charge_of,
    event_bytes,
    place,
    received,
    stored_order,
)


class Dying:
    """What changes nothing any more."""

    def __init__(self, of: Any) -> None:
        self._of = of

    def __getattr__(self, name: str) -> Any:
        return getattr(self._of, name)

    async def change(self, *_arguments: Any, **_options: Any) -> Any:
        raise UnavailableError


async def stored_event(application: Application, event_id: str) -> Document:
    return await application.store.payment_events.find_one({"_id": event_id}) or {}


async def is_recorded_up_to(step: str, make_application: MakeApplication, order: Order, event: ReceivedEvent) -> None:
    """By a process that dies before `step`."""
    async with make_application() as dying:
        if step == "fact":
            dying.record_events._store = cast("Store", Dying(dying.store))
        else:
            dying.store.events = cast("Documents[StoredEvent, StoredEvent]", Dying(dying.store.events))
        with pytest.raises(UnavailableError):
            await dying.record_events(event)


async def take_up(application: Application) -> None:
    """A minute later."""
    past = utc_now() - timedelta(seconds=1)
    await application.store.payment_events.update_many(
        {"reconcile_at": {"$ne": None}}, {"$set": {"reconcile_at": past}, "$inc": {"version": Int64(1)}}
    )
    await application.reconcile.work.run_once()


async def test_c21_an_event_is_not_applied_before_its_order_has_the_fact(
    application: Application, make_application: MakeApplication
) -> None:
    order = await place(application)
    event = received(event_bytes(charge_of(order)))
    await is_recorded_up_to("fact", make_application, order, event)
    assert (await stored_event(application, event.id))["outcome"] == "received"
    assert await application.record_events(event) == "applied"
    assert (await stored_order(application, order.id)).status == "Paid"


@pytest.mark.parametrize("step", ["fact", "outcome"])
async def test_c21_an_event_whose_recording_was_broken_off_is_taken_up_though_it_never_comes_again(
    application: Application, make_application: MakeApplication, step: str
) -> None:
    order = await place(application)
    event = received(event_bytes(charge_of(order)))
    await is_recorded_up_to(step, make_application, order, event)
    await take_up(application)
    paid = await stored_order(application, order.id)
    assert (paid.status, len(paid.charges), len(paid.history)) == ("Paid", 1, 2)
    stored = await stored_event(application, event.id)
    assert (stored["outcome"], stored["reconcile_at"], stored["times_received"]) == ("applied", None, 1)


async def test_c21_a_judge_that_paused_does_not_overwrite_what_became_final_meanwhile(
    application: Application, make_application: MakeApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has judged the event before there was its order."""
    order = await place(application)
    event = received(event_bytes(charge_of(order)))
    async with make_application() as slow:

        async def paused(_event: ReceivedEvent) -> Learned:
            assert await application.record_events(event) == "applied"
            return Learned(Judgement("unmatched", "no such order"))

        monkeypatch.setattr(slow.record_events, "_merge", paused)
        assert await slow.record_events(event) == "duplicate"
    stored = await stored_event(application, event.id)
    assert (stored["outcome"], stored["reconcile_at"]) == ("applied", None)


async def test_c21_bytes_that_are_kept_beside_an_event_teach_nothing(
    application: Application, make_application: MakeApplication
) -> None:
    """Those who keep them die before they have raised the review."""
    order = await place(application)
    charge = charge_of(order)
    event = received(event_bytes(charge))
    assert await application.record_events(event) == "applied"
    other = received(event_bytes(charge_of(order), event_id=event.id))
    async with make_application() as dying:
        dying.record_events._store = cast("Store", Dying(dying.store))
        with pytest.raises(UnavailableError):
            await dying.record_events(other)
    await take_up(application)
    known = await stored_order(application, order.id)
    assert [one.id for one in known.charges] == [charge.id]
    assert [review.code for review in known.reviews] == ["event-altered"]
    kept = await application.store.payment_events.find_one({"_id": {"$ne": event.id}}) or {}
    assert (kept["raw"], kept["outcome"], kept["reconcile_at"]) == (other.raw, "duplicate", None)


async def test_c20_the_stored_bytes_are_finished_before_others_under_the_same_id_are_judged(
    application: Application, make_application: MakeApplication
) -> None:
    order = await place(application)
    charge = charge_of(order)
    event = received(event_bytes(charge))
    await is_recorded_up_to("fact", make_application, order, event)
    other = received(event_bytes(charge_of(order), event_id=event.id))
    assert await application.record_events(other) == "duplicate"
    assert [one.id for one in (await stored_order(application, order.id)).charges] == [charge.id]
    assert (await stored_event(application, event.id))["outcome"] == "applied"
