"""C4, C5, C6, C10: one key, one order, one answer."""

import asyncio
from decimal import Decimal
from uuid import uuid4

import pytest
from bson import Int64

from order_api.app import Application
from order_api.place_order import OrderNumberTaken
from shared.batches import Limits, UnavailableError, UnresolvedDuplicateError
from shared.idempotency import Answer, KeyReused
from tests.integration.conftest import UNCONFIRMED, FailCommand
from tests.integration.order_api.conftest import (
    MakeApplication,
    charge_call_of,
    expire,
    new_order,
    place,
)


async def test_key_order_and_call_are_one_document(application: Application) -> None:
    answer = await application.place_order("key-1", new_order(metadata={"basket": "7"}))
    assert isinstance(answer, Answer)
    [order] = await application.store.orders.find().to_list()
    [key], [call] = order["keys"], order["calls"]
    assert (key["value"], key["of"], key["body"]) == ("key-1", order["_id"], answer.body)
    assert (call["reference"], call["kind"], call["state"]) == (order["_id"], "charge", "open")
    assert order["due_at"] == call["due_at"] < order["created_at"]
    assert isinstance(order["amount_minor"], Int64)
    assert isinstance(order["version"], Int64)
    assert order["exponent"] == 2


async def test_a_replay_gets_the_first_answer_byte_for_byte(application: Application) -> None:
    new = new_order()
    first = await application.place_order("key", new)
    again = await application.place_order("key", new)
    assert isinstance(first, Answer)
    assert isinstance(again, Answer)
    assert (first.status, first.body, first.location) == (again.status, again.body, again.location)
    assert (first.replayed, again.replayed) == (False, True)
    assert await application.store.orders.count_documents({}) == 1


async def test_c5_a_key_used_for_another_order_is_refused_and_stores_nothing(application: Application) -> None:
    await application.place_order("key", new_order())
    assert await application.place_order("key", new_order()) == KeyReused()
    assert await application.store.orders.count_documents({}) == 1


async def test_c5_a_taken_order_number_is_refused_and_leaves_its_key_free(application: Application) -> None:
    await application.place_order("first", new_order(order_number="ORD-1"))
    refused = await application.place_order("second", new_order(order_number="ORD-1"))
    assert refused == OrderNumberTaken("ORD-1")
    assert isinstance(await application.place_order("second", new_order(order_number="ORD-2")), Answer)


async def test_c5_one_hundred_identical_posts_to_two_replicas_make_one_order(make_application: MakeApplication) -> None:
    async with make_application() as one, make_application() as other:
        for _ in range(3):
            key, new = uuid4().hex, new_order()
            answers = await asyncio.gather(
                *(replica.place_order(key, new) for replica in (one, other) for _ in range(50))
            )
            assert all(isinstance(answer, Answer) for answer in answers)
            assert len({answer.body for answer in answers if isinstance(answer, Answer)}) == 1
            assert [answer.replayed for answer in answers if isinstance(answer, Answer)].count(False) == 1
            assert await one.store.orders.count_documents({"order_number": new.order_number}) == 1


async def test_c5_two_keys_that_race_for_one_order_number_make_one_order(make_application: MakeApplication) -> None:
    async with make_application() as one, make_application() as other:
        outcomes = await asyncio.gather(
            *(replica.place_order(uuid4().hex, new_order(order_number="ORD-1")) for replica in (one, other) * 10)
        )
        assert sum(isinstance(outcome, Answer) for outcome in outcomes) == 1
        assert outcomes.count(OrderNumberTaken("ORD-1")) == 19
        [order] = await one.store.orders.find().to_list()
        assert len(order["keys"]) == 1


async def test_c6_a_refused_leader_does_not_spoil_a_follower_with_the_same_key(application: Application) -> None:
    """Both are in one batch. The leader's order number is taken, so it stores nothing and the follower is new; by the time
    that anybody looks the key is the follower's.
    """
    await place(application, order_number="ORD-1")
    leader, follower = await asyncio.gather(
        application.place_order("key", new_order(order_number="ORD-1")),
        application.place_order("key", new_order(order_number="ORD-2")),
    )
    assert leader in (OrderNumberTaken("ORD-1"), KeyReused())
    assert isinstance(follower, Answer)
    assert not follower.replayed


async def test_c6_a_batch_with_refused_orders_places_all_the_others(application: Application) -> None:
    await place(application, order_number="TAKEN")
    numbers = ["TAKEN" if number % 7 == 0 else f"ORD-{number}" for number in range(64)]
    outcomes = await asyncio.gather(
        *(application.place_order(uuid4().hex, new_order(order_number=number)) for number in numbers)
    )
    for number, outcome in zip(numbers, outcomes, strict=True):
        assert isinstance(outcome, OrderNumberTaken if number == "TAKEN" else Answer)


async def test_c7_a_caller_who_was_told_503_finds_the_order_with_the_same_key(
    make_application: MakeApplication, fail_command: FailCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of a reply with a write concern error is believed, neither success nor that the document is there already."""
    async with make_application() as application:
        new = new_order()
        await fail_command("order_api", ["insert"], times="always", **UNCONFIRMED)
        with monkeypatch.context() as hurried:
            hurried.setattr(application.place_order._insert._batches, "_limits", Limits(deadline_seconds=1))
            with pytest.raises((UnavailableError, UnresolvedDuplicateError)):
                await application.place_order("key", new)
        await fail_command("order_api", ["insert"], times=0)
        again = await application.place_order("key", new)
        assert isinstance(again, Answer)
        assert again.replayed
        [order] = await application.store.orders.find().to_list()
        assert again.location == f"/api/orders/{order['_id']}"


async def test_c5_an_insert_whose_reply_was_lost_is_answered_as_new_with_the_order_that_is_there(
    application: Application, fail_command: FailCommand
) -> None:
    """C4: the second try sends the same document, and finds it there under its own id."""
    await fail_command("order_api", ["insert"], times=1, **UNCONFIRMED)
    answer = await application.place_order("key", new_order())
    assert isinstance(answer, Answer)
    assert not answer.replayed
    [order] = await application.store.orders.find().to_list()
    assert answer.location == f"/api/orders/{order['_id']}"


async def test_c8_clients_that_hang_up_do_not_disturb_the_others(application: Application) -> None:
    calls = [asyncio.create_task(application.place_order(uuid4().hex, new_order())) for _ in range(64)]
    await asyncio.sleep(0)
    for call in calls[::3]:
        call.cancel()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(outcome, Answer) for number, outcome in enumerate(outcomes) if number % 3)


async def test_c10_an_expired_key_is_taken_over_by_exactly_one(make_application: MakeApplication) -> None:
    async with make_application() as one, make_application() as other:
        await place(one)
        for _ in range(3):
            key = uuid4().hex
            await one.place_order(key, new_order())
            await expire(one, key)
            new = new_order()
            answers = await asyncio.gather(
                *(replica.place_order(key, new) for replica in (one, other) for _ in range(10))
            )
            assert all(isinstance(answer, Answer) for answer in answers)
            assert len({answer.body for answer in answers if isinstance(answer, Answer)}) == 1
            assert await one.store.orders.count_documents({"order_number": new.order_number}) == 1


async def test_c10_no_index_of_order_api_deletes_anything(application: Application) -> None:
    for collection in (application.store.orders, application.store.payment_events):
        indexes = await collection.index_information()
        assert len(indexes) > 2
        assert not any("expireAfterSeconds" in index for index in indexes.values())


async def test_c10_an_expired_key_lets_its_own_number_be_seen_as_taken(application: Application) -> None:
    await application.place_order("key", new_order(order_number="ORD-1"))
    await expire(application, "key")
    assert await application.place_order("key", new_order(order_number="ORD-1")) == OrderNumberTaken("ORD-1")
    assert isinstance(await application.place_order("key", new_order()), Answer)


async def test_keys_of_two_merchants_do_not_meet(application: Application) -> None:
    first = await application.place_order("key", new_order(merchant="one", order_number="ORD-1"))
    second = await application.place_order("key", new_order(merchant="other", order_number="ORD-1"))
    assert isinstance(first, Answer)
    assert isinstance(second, Answer)
    assert first.location != second.location


async def test_the_call_that_charges_an_order_has_its_amount_and_its_id(application: Application) -> None:
    order = await place(application, amount=Decimal("12.34"), currency="EUR")
    call = await charge_call_of(application, order)
    assert call["body"] == (
        f'{{"amount":1234,"currency":"EUR","reference":"{order.id}","paymentMethod":"pm_card_visa"}}'
    )
