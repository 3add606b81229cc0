"""C23: what has ended is announced in full, once, whichever gateway does it and wherever another broke off."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError

from payment_gateway.app import Application
from payment_gateway.money.settle import Round
from payment_gateway.store import read
from payment_gateway.webhooks import announce
from payment_gateway.webhooks.delivery import new_deliveries
from payment_gateway.webhooks.endpoint import ENDPOINTS_MAX
from shared import wire
from shared.edge.problems import there
from shared.pages import Paging
from shared.times import utc_now
from tests.http_double import HttpDouble
from tests.integration.payment_gateway.conftest import MakeApplication, asked, create
from tests.integration.payment_gateway.money.test_charges_and_refunds import NOW, refund, settle
from tests.integration.payment_gateway.webhooks.test_endpoints import add


async def test_c23_two_gateways_that_settle_one_charge_make_one_event(make_application: MakeApplication) -> None:
    """Both have found the same charges due before either settles them, and each would have other bytes."""
    async with make_application() as one, make_application() as other:
        for _ in range(20):
            await create(one)
        found = [await gateway.settle_charges._due() for gateway in (one, other)]
        assert [len(due) for due in found] == [20, 20]
        await asyncio.gather(
            one.settle_charges._settle_and_announce(Round(found[0])),
            other.settle_charges._settle_and_announce(Round(found[1])),
        )
        assert await one.store.events.count_documents({}) == 20
        assert await one.store.deliveries.count_documents({}) == 20
        async for charge in one.store.charges.find():
            assert (charge["status"], charge["announce"], charge["due_at"]) == ("succeeded", [], None)
            assert await one.show_money.charge("default", charge["_id"]) == await told(one, charge["_id"])


async def told(application: Application, object_id: str) -> wire.Charge:
    """The charge as its event tells the merchant."""
    [event] = await application.store.events.find({"object_id": object_id}).to_list()
    return msgspec.convert(msgspec.json.decode(event["raw"], type=wire.EventEnvelope).data, wire.Charge)


async def test_c23_who_comes_late_announces_what_was_settled_and_not_what_it_had_decided(
    make_application: MakeApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with make_application() as quick, make_application() as late:
        charge = await create(quick)
        found = await late.settle_charges._due()
        monkeypatch.setattr(quick.settle_charges, "_announce", nobody)
        await settle(quick)
        await asyncio.sleep(0.01)
        await late.settle_charges._settle_and_announce(Round(found))
        [stored] = await quick.store.charges.find().to_list()
        assert (await told(quick, charge.id)).settled_at == stored["settled_at"]


async def nobody(*_found: object) -> set[str]:
    """Announces nothing: it has died."""
    return set()


async def test_c23_a_charge_that_cannot_be_settled_holds_up_no_other(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("payment_gateway.money.settle.AT_ONCE", 2)
    spoiled = [await create(application) for _ in range(2)]
    await application.store.charges.update_many({}, {"$unset": {"payment_method": ""}})
    others = [await create(application) for _ in range(3)]
    assert await settle(application) == 0
    assert [await settle(application) for _ in range(3)] == [2, 1, 0]
    succeeded = await application.store.charges.distinct("_id", {"status": "succeeded"})
    assert succeeded == sorted(charge.id for charge in others)
    assert sorted(application.settle_charges._passed_over.ids()) == sorted(charge.id for charge in spoiled)


async def test_c23_an_endpoint_that_cannot_be_read_holds_up_its_own_merchant_only(
    application: Application, receiver: HttpDouble
) -> None:
    """A later version may have written it."""
    await add(application, f"{receiver.url}/later", merchant="later")
    of_a_later_version = {"merchant": "later"}, {"$set": {"event_types": ["payment.unheard_of"]}}
    await application.store.webhook_endpoints.update_one(*of_a_later_version)
    await application.create_money.charge("later", uuid4().hex, asked())
    charge = await create(application)
    assert await settle(application) == 1
    assert await application.store.events.distinct("object_id") == [charge.id]
    [held_up] = await application.store.charges.find({"due_at": {"$ne": None}}).to_list()
    assert application.settle_charges._passed_over.ids() == [held_up["_id"]]
    await application.store.webhook_endpoints.update_one({"merchant": "later"}, {"$set": {"event_types": []}})
    application.settle_charges._passed_over._until.clear()  # its pause is over
    assert await settle(application) == 1


async def test_c23_a_charge_that_cannot_be_announced_spoils_no_other_and_is_tried_again(
    application: Application,
) -> None:
    spoiled, *others = [await create(application) for _ in range(4)]
    unknown = {"announce": [{"id": "evt_1", "object": "re_nothing", "type": "payment.failed", "raw": "", "at": NOW}]}
    await application.store.charges.update_one({"_id": spoiled.id}, {"$set": unknown})
    assert await settle(application) == len(others)
    assert await application.store.events.distinct("object_id") == sorted(charge.id for charge in others)
    assert await settle(application) == 0
    await application.store.charges.update_one({"_id": spoiled.id}, {"$set": {"announce": []}})
    application.settle_charges._passed_over._until.clear()  # its pause is over
    await out_of_hand(application)
    assert await settle(application) == 1


async def test_many_endpoints_and_copies_are_told_in_several_inserts_none_of_which_is_too_large(
    application: Application, receiver: HttpDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("payment_gateway.webhooks.announce.DELIVERIES_MAX", 50)
    for number in range(3):
        await add(application, f"{receiver.url}/{number}")
    scenario = {"webhooks": ["duplicated"], "copies": 3}
    charges = [await create(application, scenario=scenario) for _ in range(30)]
    inserted = Inserted(application.store.deliveries, monkeypatch)
    assert await settle(application) == len(charges)
    assert max(len(batch) for batch in inserted.batches) <= 50
    assert await application.store.charges.count_documents({"due_at": {"$ne": None}}) == 0
    assert await application.store.deliveries.count_documents({}) == len(charges) * 4 * 3


async def test_a_burst_of_events_for_a_hundred_endpoints_is_made_and_inserted_slice_by_slice(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of it is made before what comes before it is there: whoever else has something to do does it in between."""
    made, most = 0, 0
    insert_many = AsyncCollection.insert_many

    def make(*of: Any, **how: Any) -> Any:
        nonlocal made, most
        deliveries = new_deliveries(*of, **how)
        made += len(deliveries)
        most = max(most, made)
        return deliveries

    async def insert(collection: Any, documents: Any, **options: Any) -> Any:
        nonlocal made
        result = await insert_many(collection, documents, **options)
        made = 0
        return result

    for number in range(ENDPOINTS_MAX - 1):
        await add(application, f"http://127.0.0.1:1/{number}")
    charges = [await create(application) for _ in range(110)]
    monkeypatch.setattr("payment_gateway.webhooks.announce.new_deliveries", make)
    monkeypatch.setattr(AsyncCollection, "insert_many", insert)
    events = Inserted(application.store.events, monkeypatch)
    assert await settle(application) == len(charges)
    assert most == announce.DELIVERIES_MAX
    assert [len(batch) for batch in events.batches] == [announce.EVENTS_MAX, 10]
    assert await application.store.deliveries.count_documents({}) == len(charges) * ENDPOINTS_MAX
    assert await application.store.charges.count_documents({"due_at": {"$ne": None}}) == 0


class Inserted:
    """Keeps everything that is inserted into a collection, batch by batch."""

    def __init__(self, collection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.batches: list[Any] = []
        insert = collection.insert_many

        async def insert_and_note(documents: Any, **options: Any) -> Any:
            self.batches.append(documents)
            return await insert(documents, **options)

        monkeypatch.setattr(collection, "insert_many", insert_and_note)


async def test_c23_what_is_held_is_there_before_what_releases_it(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("payment_gateway.webhooks.announce.DELIVERIES_MAX", 1)
    await create(application, scenario={"wrongAmount": True})
    inserted = Inserted(application.store.deliveries, monkeypatch)
    await settle(application)
    assert ["hold" in document for [document] in inserted.batches] == [True, False]


class DiesError(Exception):
    """kill -9, as far as one flow can tell."""


STEPS = {
    "events": ("events", "insert_many"),
    "deliveries": ("deliveries", "insert_many"),
    "mark": ("charges", "bulk_write"),
}


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
async def test_c23_an_announcement_that_breaks_off_at_any_step_is_made_in_full_by_another(
    make_application: MakeApplication, monkeypatch: pytest.MonkeyPatch, step: str, moment: str
) -> None:
    async with make_application() as first, make_application() as second:
        charge = await create(first, scenario={"webhooks": ["duplicated"], "copies": 2})
        marked = await settled_only(first, monkeypatch)
        assert await second.store.events.count_documents({}) == 0
        name, command = STEPS[step]
        collection = getattr(first.store, name)
        do = getattr(collection, command)

        async def die(*arguments: Any, **options: Any) -> Any:
            if moment == "after":
                await do(*arguments, **options)
            raise DiesError

        monkeypatch.setattr(collection, command, die)
        assert await first.announce_charges(marked) == {charge.id}
        order = [await second.store.events.count_documents({}), await second.store.deliveries.count_documents({})]
        assert order in ([0, 0], [1, 0], [1, 2]), "events before deliveries"
        [stored] = await second.store.charges.find().to_list()
        assert bool(stored["announce"]) == (stored["due_at"] is not None)
        assert order == [1, 2] or stored["announce"], "the mark goes last"
        await out_of_hand(second)
        await settle(second)
        assert await second.store.events.count_documents({}) == 1
        assert await second.store.deliveries.count_documents({}) == 2
        [stored] = await second.store.charges.find().to_list()
        assert (stored["announce"], stored["due_at"]) == ([], None)


async def settled_only(application: Application, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The charges that it has settled and then not announced."""
    with monkeypatch.context() as dead:
        dead.setattr(application.settle_charges, "_announce", nobody)
        await settle(application)
    return await read(application.store.charges)


async def out_of_hand(application: Application) -> None:
    """As if whoever settled had had its time to announce."""
    await application.store.charges.update_many({}, {"$set": {"hand_until": utc_now() - timedelta(seconds=1)}})


async def test_c23_who_has_settled_is_given_time_to_announce_before_others_do(
    make_application: MakeApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with make_application() as one, make_application() as other:
        await create(one)
        await settled_only(one, monkeypatch)
        assert await settle(other) == 0
        await out_of_hand(one)
        assert await settle(other) == 1


async def test_c23_a_gateway_whose_clock_is_ahead_keeps_no_charge_from_the_others(
    make_application: MakeApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with make_application() as ahead, make_application() as other:
        await create(ahead)
        await settled_only(ahead, monkeypatch)
        in_an_hour = {"hand_until": utc_now() + timedelta(hours=1)}
        await ahead.store.charges.update_many({}, {"$set": in_an_hour})
        assert await settle(other) == 1


async def test_c23_what_is_there_already_in_a_reply_with_a_write_concern_error_is_not_done(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failover might still take it away: the mark stays."""
    await create(application)
    [marked] = await settled_only(application, monkeypatch)
    await application.announce_charges([marked])
    await application.store.charges.replace_one({"_id": marked["_id"]}, {**marked, "version": 9})

    async def there_perhaps(documents: Any, **_options: Any) -> None:
        taken = [{"index": number, "code": 11000, "errmsg": "E11000"} for number in range(len(documents))]
        raise BulkWriteError({"writeErrors": taken, "writeConcernErrors": [{"code": 64, "errmsg": "waiting"}]})

    for collection in (application.store.events, application.store.deliveries):
        with monkeypatch.context() as failing:
            failing.setattr(collection, "insert_many", there_perhaps)
            with pytest.raises(BulkWriteError):
                await application.announce_charges([{**marked, "version": 9}])
        [stored] = await application.store.charges.find().to_list()
        assert stored["announce"]


async def test_c23_a_mark_that_is_made_while_others_are_announced_is_announced_too(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    charge = await create(application)
    await settle(application)
    for _ in range(2):
        await refund(application, charge, 1)
    await application.store.charges.update_one({}, {"$set": {"refunds.1.settles_at": utc_now() + timedelta(days=1)}})
    marked = await settled_only(application, monkeypatch)
    await application.store.charges.update_one({}, {"$set": {"refunds.1.settles_at": utc_now()}})
    await out_of_hand(application)
    await settled_only(application, monkeypatch)
    await application.announce_charges(marked)
    [stored] = await application.store.charges.find().to_list()
    assert [mark["object"] for mark in stored["announce"]] == [stored["refunds"][1]["id"]]
    assert stored["due_at"] is not None
    await out_of_hand(application)
    await settle(application)
    assert await application.store.events.count_documents({"type": "refund.succeeded"}) == 2


async def test_c23_an_endpoint_that_is_made_between_settling_and_announcing_hears_nothing(
    application: Application, receiver: HttpDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(application)
    marked = await settled_only(application, monkeypatch)
    await add(application, f"{receiver.url}/late")
    await application.announce_charges(marked)
    [delivery] = await application.store.deliveries.find().to_list()
    assert delivery["endpoint_id"] == marked[0]["announce"][0]["to"][0]


async def test_c23_whose_charge_a_reset_took_takes_back_what_it_inserted(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(application)
    marked = await settled_only(application, monkeypatch)
    await application.store.charges.delete_many({})
    await application.announce_charges(marked)
    assert await application.store.events.count_documents({}) == 0
    assert await application.store.deliveries.count_documents({}) == 0


async def test_c23_nothing_is_shown_as_ended_before_it_is_announced(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    charges = [await create(application) for _ in range(3)]
    await settled_only(application, monkeypatch)
    shown = there(await application.show_money.charge("default", charges[0].id))
    assert shown.status == "succeeded"
    assert await application.store.events.distinct("object_id") == [charges[0].id]
    page = await application.show_money.charges("default", Paging(limit=2))
    assert {charge.status for charge in page.things} == {"succeeded"}
    assert await application.store.events.count_documents({}) == 3, "those of the page"
    await refund(application, charges[0], 1)
    await settled_only(application, monkeypatch)
    [refunded] = (await application.show_money.refunds("default", Paging())).things
    assert refunded.status == "succeeded"
    assert await application.store.events.count_documents({"object_id": refunded.id}) == 1
