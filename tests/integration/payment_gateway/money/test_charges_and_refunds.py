"""C23, C25: charges end once, refunds never exceed them."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from payment_gateway.app import Application
from payment_gateway.money.create_refund import ExceedsCharge, NoSuchCharge, NotRefundable
from shared import wire
from shared.idempotency import Answer, KeyReused
from shared.times import utc_now
from tests.http_double import HttpDouble
from tests.integration.conftest import FailCommand
from tests.integration.payment_gateway.conftest import MakeApplication, asked, create
from tests.integration.payment_gateway.webhooks.test_endpoints import add


async def settle(application: Application) -> int:
    return await application.settle_charges.work.run_once()


async def refund(application: Application, charge: wire.Charge, amount: int, key: str = "") -> object:
    request = wire.RefundRequest(amount=amount, reference=f"rf_{uuid4().hex}")
    return await application.create_refund("default", key or uuid4().hex, charge.id, request)


async def test_the_same_key_creates_one_charge_on_two_gateways(make_application: MakeApplication) -> None:
    async with make_application() as one, make_application() as other:
        request = asked()
        answers = await asyncio.gather(
            *(gateway.create_charge("default", "key", request) for gateway in (one, other) for _ in range(30))
        )
        assert len({answer.body for answer in answers if isinstance(answer, Answer)}) == 1
        assert await one.store.charges.count_documents({}) == 1
        assert await one.create_charge("default", "key", asked()) == KeyReused()


@pytest.mark.parametrize(
    ("payment_method", "status", "code"),
    [
        ("pm_card_visa", "succeeded", None),
        ("pm_card_declined", "failed", "card_declined"),
        ("pm_insufficient_funds", "failed", "insufficient_funds"),
        ("pm_expired_card", "failed", "expired_card"),
    ],
)
async def test_a_charge_ends_as_its_payment_method_says(
    application: Application, payment_method: str, status: str, code: str | None
) -> None:
    charge = await create(application, payment_method=payment_method)
    assert charge.status == "pending"
    assert await settle(application) == 1
    stored = await application.store.charges.find_one({"_id": charge.id})
    assert stored is not None
    assert (stored["status"], stored["failure_code"]) == (status, code)
    event = await application.store.events.find_one({"object_id": charge.id})
    assert event is not None
    told = msgspec.json.decode(event["raw"], type=wire.EventEnvelope)
    assert told.type == f"payment.{status}"
    assert msgspec.json.decode(told.data, type=wire.Charge).failure_code == code


async def test_a_charge_does_not_settle_before_its_time(make_application: MakeApplication) -> None:
    async with make_application(charge_delay_seconds=3600) as application:
        await create(application)
        assert await settle(application) == 0


async def test_c23_two_gateways_that_settle_one_charge_make_one_event(make_application: MakeApplication) -> None:
    """Their leases are forced to overlap: both hold the same charges when they settle."""
    async with make_application() as one, make_application() as other:
        for _ in range(20):
            await create(one)
        first = await one.settle_charges._claim(100)
        await one.store.charges.update_many({}, {"$set": {"lease_until": utc_now() - timedelta(seconds=1)}})
        second = await other.settle_charges._claim(100)
        assert len(first) == len(second) == 20
        await asyncio.gather(
            *(one.settle_charges._settle(charge) for charge in first),
            *(other.settle_charges._settle(charge) for charge in second),
        )
        assert await one.store.events.count_documents({}) == 20
        assert await one.store.deliveries.count_documents({}) == 20
        assert await one.store.charges.count_documents({"status": "succeeded"}) == 20


async def test_c23_many_gateways_start_at_once_with_one_endpoint_whose_secret_stays(
    make_application: MakeApplication,
) -> None:
    async with make_application() as one, make_application(), make_application():
        [endpoint] = await one.store.webhook_endpoints.find().to_list()
        secrets = endpoint["secrets"]
    async with make_application(webhook_endpoint_secret="whsec_YW5vdGhlciBzZWNyZXQgYWx0b2dldGhlciwgbGF0ZXI=") as later:
        [endpoint] = await later.store.webhook_endpoints.find().to_list()
        assert endpoint["secrets"] == secrets


async def test_charge_event_and_delivery_appear_together_or_not_at_all(
    application: Application, fail_command: FailCommand
) -> None:
    await create(application)
    await fail_command("payment_gateway", ["commitTransaction"], times=1, errorCode=8000)
    await asyncio.gather(*await application.settle_charges.work._start(), return_exceptions=True)
    states = [
        await application.store.charges.count_documents({"status": "succeeded"}),
        await application.store.events.count_documents({}),
        await application.store.deliveries.count_documents({}),
    ]
    assert states in ([0, 0, 0], [1, 1, 1])


async def test_c25_refunds_of_one_charge_never_exceed_it(make_application: MakeApplication) -> None:
    async with make_application() as one, make_application() as other:
        charge = await create(one, amount=1000)
        await settle(one)
        outcomes = await asyncio.gather(*(refund(gateway, charge, 100) for gateway in (one, other) for _ in range(25)))
        assert sum(isinstance(outcome, Answer) for outcome in outcomes) == 10
        assert outcomes.count(ExceedsCharge(0)) == 40
        stored = await one.store.charges.find_one({"_id": charge.id})
        assert stored is not None
        assert stored["amount_refunded"] == 1000
        assert await one.store.refunds.count_documents({}) == 10


async def test_a_refused_refund_leaves_its_key_free(application: Application) -> None:
    charge = await create(application, amount=1000)
    assert await refund(application, charge, 100, "key") == NotRefundable("pending")
    await settle(application)
    assert await refund(application, charge, 1001, "key") == ExceedsCharge(1000)
    assert isinstance(await refund(application, charge, 1000, "key"), Answer)


async def test_a_charge_that_is_not_there_or_not_yours_cannot_be_refunded(application: Application) -> None:
    charge = await create(application)
    await settle(application)
    request = wire.RefundRequest(amount=1, reference="rf_1")
    assert await application.create_refund("other", "key", charge.id, request) == NoSuchCharge(charge.id)


async def test_a_charge_that_a_reset_takes_meanwhile_cannot_be_refunded(application: Application) -> None:
    charge = await create(application, amount=1000)
    await application.settle_charges.work.run_once()
    one = application.store.one

    async def found_then_gone(*what: Any) -> Any:
        document = await one(*what)
        await application.store.charges.delete_many({})
        return document

    application.store.one = found_then_gone  # type: ignore[assignment,method-assign]
    assert await refund(application, charge, 100) == NoSuchCharge(charge.id)


async def test_a_refund_settles_with_an_event_of_its_own(application: Application) -> None:
    charge = await create(application)
    await settle(application)
    answer = await refund(application, charge, 1)
    assert isinstance(answer, Answer)
    assert await application.settle_refunds.work.run_once() == 1
    event = await application.store.events.find_one({"type": "refund.succeeded"})
    assert event is not None
    assert event["reference"] == charge.reference
    assert await application.store.deliveries.count_documents({"event_id": event["_id"]}) == 1


async def test_a_charge_that_does_not_decode_spoils_no_other(application: Application) -> None:
    spoiled, *_ = [await create(application) for _ in range(5)]
    await application.store.charges.update_one({"_id": spoiled.id}, {"$unset": {"payment_method": ""}})
    assert await settle(application) == 5
    assert await application.store.charges.count_documents({"status": "succeeded"}) == 4


async def test_many_endpoints_and_copies_are_told_in_several_transactions_none_of_which_is_too_large(
    application: Application, receiver: HttpDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("payment_gateway.money.settle.DELIVERIES_MAX", 50)
    for number in range(3):
        await add(application, f"{receiver.url}/{number}")
    scenario = {"webhooks": ["duplicated"], "copies": 3}
    charges = [await create(application, scenario=scenario) for _ in range(30)]
    sizes = []
    insert = application.store.deliveries.insert_many

    async def insert_and_count(documents: Any, **options: Any) -> Any:
        sizes.append(len(documents))
        return await insert(documents, **options)

    monkeypatch.setattr(application.store.deliveries, "insert_many", insert_and_count)
    assert await application.settle_charges.work.run_once() == len(charges)
    assert max(sizes) <= 50
    assert await application.store.charges.count_documents({"status": "pending"}) == 0
    assert await application.store.deliveries.count_documents({}) == len(charges) * 4 * 3


async def test_what_one_charge_makes_is_not_divided(
    application: Application, receiver: HttpDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("payment_gateway.money.settle.DELIVERIES_MAX", 1)
    await add(application, f"{receiver.url}/other")
    for _ in range(3):
        await create(application)
    assert await application.settle_charges.work.run_once() == 3
    assert await application.store.deliveries.count_documents({}) == 6
