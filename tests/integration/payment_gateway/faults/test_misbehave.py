"""Misbehaviour where gateways, transactions and crashes meet: no step taken twice, nothing held for ever, C25."""

import asyncio
import json
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from payment_gateway.app import Application
from payment_gateway.clock import clock as clocks
from payment_gateway.faults.misbehave import Misbehaved
from payment_gateway.money.tell_early import has_told
from shared import wire
from shared.idempotency import Answer, KeyReused
from shared.times import utc_now
from tests.http_double import HttpDouble, always
from tests.integration.payment_gateway.conftest import MakeApplication, asked, create
from tests.integration.payment_gateway.money.test_announcing import settled_only

LATER = utc_now() + timedelta(days=1)
OUT_OF_ORDER = {"webhooks": ["out_of_order"], "webhookDelaySeconds": 604800}


async def settle(application: Application) -> None:
    await application.settle_charges.run_once()


async def deliver(application: Application) -> int:
    delivered = await application.deliver_webhooks.work.run_once()
    await application.release_held.run_once()
    return delivered


async def paid(application: Application, **scenario: Any) -> wire.Charge:
    """A charge that has just been settled."""
    charge = await create(application, scenario=scenario)
    await settle(application)
    return charge


def told(receiver: HttpDouble, *charges: wire.Charge) -> list[int]:
    """Which of the charges the receiver was told of, in order."""
    ids = [charge.id for charge in charges]
    return [ids.index(one) for sent in receiver.asked for one in ids if one.encode() in sent.body]


async def test_a_request_that_asks_for_nothing_is_not_counted(application: Application) -> None:
    await create(application)
    await create(application, scenario={"webhooks": ["dropped"]})
    assert await application.store.reply_attempts.count_documents({}) == 0


async def test_each_step_of_a_chain_is_taken_once_on_two_gateways(make_application: MakeApplication) -> None:
    async with make_application() as one, make_application() as other:
        request = asked(payment_method="pm_500|pm_429|pm_malformed_json|pm_card_visa")
        outcomes = await asyncio.gather(
            *(gateway.create_money.charge("default", "key", request) for gateway in (one, other) for _ in range(10))
        )
        counted = Counter(one.fault if isinstance(one, Misbehaved) else type(one) for one in outcomes)
        assert counted == {"server_error": 1, "too_many_requests": 1, "malformed_json": 1, Answer: 17}
        assert await one.store.charges.count_documents({}) == 1


async def test_attempts_are_forgotten_when_the_key_is(application: Application) -> None:
    request = asked(payment_method="pm_500|pm_card_visa")
    assert isinstance(await application.create_money.charge("default", "key", request), Misbehaved)
    assert isinstance(await application.create_money.charge("default", "key", request), Answer)
    past = {"$set": {"expires_at": utc_now() - timedelta(seconds=1)}}
    await application.store.reply_attempts.update_many({}, past)
    await application.store.charges.update_many({}, {"$set": {"keys.$[].expires_at": utc_now() - timedelta(seconds=1)}})
    assert isinstance(await application.create_money.charge("default", "key", request), Misbehaved)


async def test_merchants_with_the_same_key_have_attempts_of_their_own(application: Application) -> None:
    request = asked(payment_method="pm_500|pm_card_visa")
    for merchant in ("one", "other"):
        assert isinstance(await application.create_money.charge(merchant, "key", request), Misbehaved)


async def test_a_request_that_is_refused_takes_no_step(application: Application) -> None:
    await application.create_money.charge("default", "key", asked())
    spoilt = asked(payment_method="pm_500|pm_card_visa")
    assert await application.create_money.charge("default", "key", spoilt) == KeyReused()
    assert await application.store.reply_attempts.count_documents({}) == 0


async def test_the_scenario_is_part_of_what_a_key_remembers(application: Application) -> None:
    request = asked()
    assert isinstance(await application.create_money.charge("default", "key", request), Answer)
    other = asked(reference=request.reference, scenario={"wrongAmount": True})
    assert await application.create_money.charge("default", "key", other) == KeyReused()


async def test_what_is_held_is_released_by_another_gateway(
    make_application: MakeApplication, receiver: HttpDouble
) -> None:
    async with make_application() as one:
        held = [await paid(one, **OUT_OF_ORDER) for _ in range(2)]
        assert await deliver(one) == 0
    async with make_application() as other:
        plain = await paid(other)
        assert await deliver(other) == 1
        assert await deliver(other) == 2
        assert sorted(told(receiver, *held, plain)) == [0, 1, 2]
        assert told(receiver, *held, plain)[0] == 2


async def test_an_event_that_the_endpoint_refuses_releases_what_is_held_for_it(
    application: Application, receiver: HttpDouble
) -> None:
    receiver.answer = always(500)
    held = await paid(application, **OUT_OF_ORDER)
    await paid(application)
    await deliver(application)
    await deliver(application)
    assert told(receiver, held) == [0]


@pytest.mark.parametrize("fault", ["out_of_order", "delayed", "dropped"])
async def test_what_is_not_sent_at_once_releases_nothing(
    application: Application, receiver: HttpDouble, fault: str
) -> None:
    held = await paid(application, **OUT_OF_ORDER)
    await paid(application, webhooks=[fault], webhookDelaySeconds=604800)
    assert await deliver(application) == 0
    plain = await paid(application)
    await deliver(application)
    await deliver(application)
    assert told(receiver, held, plain)[:2] == [1, 0]


async def test_two_gateways_that_settle_at_once_lose_no_release(
    make_application: MakeApplication, receiver: HttpDouble
) -> None:
    async with make_application() as one, make_application() as other:
        held = [await paid(one, **OUT_OF_ORDER) for _ in range(3)]
        for _ in range(20):
            await create(one)
        await asyncio.gather(*(settle(gateway) for gateway in (one, other) for _ in range(3)))
        assert await deliver(one) == 20
        await asyncio.gather(*(gateway.release_held.run_once() for gateway in (one, other)))
        assert await deliver(other) == 3
        assert sorted(told(receiver, *held)) == [0, 1, 2]
        assert await one.store.deliveries.count_documents({"hold": {"$exists": True}}) == 0


async def test_what_was_queued_and_tried_before_releases_nothing(
    application: Application, receiver: HttpDouble
) -> None:
    """By the gateway's clock, which stands still, all happens at once."""
    await application.clock.change(lambda clock: clocks.frozen(clock, real=utc_now()))
    await paid(application)
    await deliver(application)
    held = await paid(application, **OUT_OF_ORDER)
    assert await deliver(application) == 0
    assert told(receiver, held) == []


async def test_a_true_event_is_released_by_the_wrong_one_and_by_no_other(
    application: Application, receiver: HttpDouble
) -> None:
    receiver.answer = always(500)
    wrong = await paid(application, wrongAmount=True, webhookDelaySeconds=604800)
    [first] = await application.store.deliveries.find({"hold": {"$exists": False}}).to_list()
    await application.store.deliveries.update_one({"_id": first["_id"]}, {"$set": {"next_attempt_at": LATER}})
    await paid(application)
    await deliver(application)
    assert await deliver(application) == 0
    await application.store.deliveries.update_one({"_id": first["_id"]}, {"$set": {"next_attempt_at": utc_now()}})
    assert await deliver(application) == 1
    assert await deliver(application) == 1
    amounts = [json.loads(sent.body)["data"]["amount"] for sent in receiver.asked if wrong.id.encode() in sent.body]
    assert amounts == [10000, 9999]


async def test_what_waits_for_one_that_will_never_be_tried_is_released(
    application: Application, receiver: HttpDouble
) -> None:
    """C23: as when its endpoint was disabled in the meantime, and enabled again."""
    await paid(application, wrongAmount=True, webhookDelaySeconds=604800)
    await application.store.deliveries.update_one({"hold": {"$exists": False}}, {"$set": {"state": "cancelled"}})
    await application.release_held.run_once()
    assert await deliver(application) == 1


async def test_an_early_reply_waits_for_the_mark_and_for_what_it_may_still_announce(
    application: Application, receiver: HttpDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C23: an event alone says nothing: its deliveries may be still to come."""
    charge = await create(application, scenario={"webhooks": ["early"]}, early=True)
    assert not await has_told(application.store, charge.id)
    marked = await settled_only(application, monkeypatch)
    assert not await has_told(application.store, charge.id)
    insert = application.store.deliveries.insert_many

    async def look_first(*arguments: Any, **options: Any) -> Any:
        assert await application.store.events.count_documents({}) == 1
        assert not await has_told(application.store, charge.id)
        return await insert(*arguments, **options)

    monkeypatch.setattr(application.store.deliveries, "insert_many", look_first)
    assert await application.announce_charges(marked) == set()
    assert not await has_told(application.store, charge.id)
    await deliver(application)
    assert await has_told(application.store, charge.id)


async def test_what_was_tried_already_is_not_made_due_again(application: Application, receiver: HttpDouble) -> None:
    """Its hold had ended by itself, and the endpoint had refused it."""
    receiver.answer = always(500)
    held = await paid(application, **{**OUT_OF_ORDER, "webhookDelaySeconds": 0})
    await deliver(application)
    await paid(application)
    await deliver(application)
    await deliver(application)
    assert told(receiver, held) == [0]


async def test_an_attempt_that_was_not_recorded_releases_nothing(
    application: Application, receiver: HttpDouble
) -> None:
    """Its claim had passed, so another gateway has the delivery."""
    held = await paid(application, **OUT_OF_ORDER)
    await paid(application)
    [claimed] = await application.deliver_webhooks._claim(10)
    await application.store.deliveries.update_one(
        {"_id": claimed.delivery["_id"]}, {"$set": {"claim": "another"}, "$inc": {"version": 1}}
    )
    await application.deliver_webhooks._deliver(claimed)
    assert await deliver(application) == 0
    assert told(receiver, held) == []


async def refund(application: Application, charge: wire.Charge, amount: int, **scenario: Any) -> object:
    request = wire.RefundRequest(amount=amount, reference=f"rf_{uuid4().hex}", scenario=scenario)
    return await application.create_money.refund("default", uuid4().hex, charge.id, request)


async def test_c25_refunds_that_fail_while_others_are_made_never_let_the_charge_be_exceeded(
    make_application: MakeApplication,
) -> None:
    async with make_application() as one, make_application() as other:
        charge = await create(one, amount=1000)
        await settle(one)
        gateways = (one, other)
        for _ in range(4):
            refunds = [
                refund(gateway, charge, 100, **({"failureCode": "refused"} if number % 2 else {}))
                for gateway in gateways
                for number in range(6)
            ]
            settling = [settle(gateway) for gateway in gateways]
            await asyncio.gather(*refunds, *settling)
            await assert_c25(one, charge)
        await asyncio.gather(*(settle(gateway) for gateway in gateways))
        await assert_c25(one, charge)
        assert {refund["status"] for refund in await refunds_of(one, charge)} >= {"failed"}


async def refunds_of(application: Application, charge: wire.Charge) -> list[Any]:
    stored = await application.store.charges.find_one({"_id": charge.id})
    assert stored is not None
    return list(stored["refunds"])


async def assert_c25(application: Application, charge: wire.Charge) -> None:
    """The refunds that have not failed are no more than the charge."""
    standing = [one["amount"] for one in await refunds_of(application, charge) if one["status"] != "failed"]
    assert sum(standing) <= charge.amount


async def test_a_gateway_without_test_endpoints_has_no_rates(make_application: MakeApplication) -> None:
    async with make_application() as development:
        rates = development.faults
        await development.store.faults.insert_one({"_id": "default", "rates": {"reply_lost": 1.0}})
        assert (await rates.read()).rates == {"reply_lost": 1.0}
    async with make_application(payment_gateway_test_endpoints=False) as production:
        assert isinstance(await production.create_money.charge("default", uuid4().hex, asked()), Answer)


async def test_every_replica_has_seen_new_rates_when_they_are_set(make_application: MakeApplication) -> None:
    async with make_application() as one, make_application() as other:
        before = await other.faults.current()
        await one.faults.replace(type(before)(rates={"reply_lost": 1.0}))
        assert isinstance(await other.create_money.charge("default", uuid4().hex, asked()), Misbehaved)
