"""C10, C25: charges end once, refunds never exceed them, and a key is good for one of them."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from payment_gateway.app import Application
from payment_gateway.money.charge import ExceedsCharge, NotRefundable
from shared import wire
from shared.idempotency import Answer, KeyReused
from shared.not_found import NotFound
from shared.pages import Paging
from shared.times import utc_now
from tests.integration.payment_gateway.conftest import MakeApplication, asked, create

NOW = utc_now()


async def settle(application: Application) -> int:
    return await application.settle_charges.run_once()


async def refund(application: Application, charge: wire.Charge, amount: int, key: str = "") -> object:
    request = wire.RefundRequest(amount=amount, reference=f"rf_{uuid4().hex}")
    return await application.create_money.refund("default", key or uuid4().hex, charge.id, request)


async def test_the_same_key_creates_one_charge_on_two_gateways(make_application: MakeApplication) -> None:
    async with make_application() as one, make_application() as other:
        request = asked()
        answers = await asyncio.gather(
            *(gateway.create_money.charge("default", "key", request) for gateway in (one, other) for _ in range(30))
        )
        assert len({answer.body for answer in answers if isinstance(answer, Answer)}) == 1
        assert await one.store.charges.count_documents({}) == 1
        assert await one.create_money.charge("default", "key", asked()) == KeyReused()


@pytest.mark.parametrize(
    ("payment_method", "status", "code"),
    [
        ("pm_card_visa", "succeeded", None),
        ("pm_card_disputed", "succeeded", None),
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
    assert msgspec.convert(told.data, wire.Charge).failure_code == code


async def test_a_charge_does_not_settle_before_its_time(make_application: MakeApplication) -> None:
    async with make_application(charge_delay_seconds=3600) as application:
        await create(application)
        assert await settle(application) == 0


async def test_c23_many_gateways_start_at_once_with_one_endpoint_whose_secret_stays(
    make_application: MakeApplication,
) -> None:
    async with make_application() as one, make_application(), make_application():
        [endpoint] = await one.store.webhook_endpoints.find().to_list()
        secrets = endpoint["secrets"]
    async with make_application(webhook_endpoint_secret="whsec_YW5vdGhlciBzZWNyZXQgYWx0b2dldGhlciwgbGF0ZXI=") as later:
        [endpoint] = await later.store.webhook_endpoints.find().to_list()
        assert endpoint["secrets"] == secrets


async def test_c25_refunds_of_one_charge_never_exceed_it(make_application: MakeApplication) -> None:
    async with make_application() as one, make_application() as other:
        charge = await create(one, amount=1000)
        await settle(one)
        outcomes = await asyncio.gather(*(refund(gateway, charge, 100) for gateway in (one, other) for _ in range(25)))
        assert sum(isinstance(outcome, Answer) for outcome in outcomes) == 10
        assert outcomes.count(ExceedsCharge(0)) == 40
        stored = await one.store.charges.find_one({"_id": charge.id})
        assert stored is not None
        assert sum(refund["amount"] for refund in stored["refunds"]) == 1000
        assert len(stored["keys"]) == 11, "a key each, and that of the charge"


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
    assert await application.create_money.refund("other", "key", charge.id, request) == NotFound("charge")


async def test_a_charge_that_a_reset_takes_meanwhile_cannot_be_refunded(application: Application) -> None:
    charge = await create(application, amount=1000)
    await application.settle_charges.run_once()
    one = application.store.one

    async def found_then_gone(*what: Any) -> Any:
        document = await one(*what)
        await application.store.charges.delete_many({})
        return document

    application.store.one = found_then_gone  # type: ignore[assignment,method-assign]
    assert await refund(application, charge, 100) == NotFound("charge")


async def test_a_refund_settles_with_an_event_of_its_own(application: Application) -> None:
    charge = await create(application)
    await settle(application)
    answer = await refund(application, charge, 1)
    assert isinstance(answer, Answer)
    assert await settle(application) == 1
    event = await application.store.events.find_one({"type": "refund.succeeded"})
    assert event is not None
    assert event["reference"] == charge.reference
    assert await application.store.deliveries.count_documents({"event_id": event["_id"]}) == 1


async def test_refunds_are_listed_newest_first_by_what_is_asked_for(application: Application) -> None:
    charges = [await create(application) for _ in range(2)]
    await settle(application)
    for number in range(5):
        await refund(application, charges[number % 2], 1 + number)
    show = application.show_money.refunds
    everything = (await show("default", Paging(limit=100))).things
    assert [one.amount for one in everything] == [5, 4, 3, 2, 1]
    first = await show("default", Paging(limit=2))
    assert [one.amount for one in first.things] == [5, 4]
    assert [one.amount for one in (await show("default", Paging(limit=3, after=first.following))).things] == [3, 2, 1]
    assert [one.amount for one in (await show("default", Paging(), charge_id=charges[1].id)).things] == [4, 2]
    assert (await show("default", Paging(), reference=everything[3].reference)).things == [everything[3]]
    assert (await show("default", Paging(), status="succeeded")).things == []
    assert (await show("other", Paging(), charge_id=charges[1].id)).things == []


async def test_a_key_of_a_charge_is_not_one_for_a_refund_and_the_other_way_round(application: Application) -> None:
    charges = [await create(application, amount=1000) for _ in range(2)]
    await settle(application)
    assert isinstance(await refund(application, charges[0], 1, "key"), Answer)
    assert await refund(application, charges[0], 1, "key") == KeyReused()
    assert await refund(application, charges[1], 1, "key") == KeyReused()
    assert await refund(application, charges[1], 1001, "key") == KeyReused(), "before it is refused"
    assert await application.create_money.charge("default", "key", asked()) == KeyReused()
    assert isinstance(await application.create_money.charge("other", "key", asked()), Answer)


async def test_c10_a_key_that_has_expired_is_free_for_a_charge_and_for_a_refund(
    make_application: MakeApplication,
) -> None:
    async with make_application() as one, make_application() as other:
        charges = [await create(one, amount=1000) for _ in range(2)]
        await settle(one)
        first = await one.create_money.charge("default", "key", asked())
        request = asked()
        for make in (
            lambda gateway: gateway.create_money.charge("default", "key", request),
            lambda gateway: refund_as(gateway, charges[0], "key"),
            lambda gateway: refund_as(gateway, charges[1], "key"),
        ):
            await expire_keys(one)
            answers = await asyncio.gather(*(make(gateway) for gateway in (one, other) for _ in range(5)))
            assert all(isinstance(answer, Answer) for answer in answers)
            assert sorted(answer.replayed for answer in answers) == [False] + [True] * 9
            assert len({answer.body for answer in answers}) == 1
            assert first not in answers
        assert await one.store.charges.count_documents({"keys.value": "key"}) == 1


async def refund_as(application: Application, charge: wire.Charge, key: str) -> Any:
    return await application.create_money.refund(
        "default", key, charge.id, wire.RefundRequest(amount=1, reference="rf_1")
    )


async def expire_keys(application: Application) -> None:
    past = utc_now() - timedelta(seconds=1)
    await application.store.charges.update_many({"keys.0": {"$exists": True}}, {"$set": {"keys.$[].expires_at": past}})


async def test_c10_no_ttl_index_ever_removes_a_charge(application: Application) -> None:
    indexes = await application.store.charges.index_information()
    assert [name for name, index in indexes.items() if "expireAfterSeconds" in index] == []


async def test_c3_every_write_of_a_charge_counts_once(application: Application) -> None:
    charge = await create(application)
    versions = [await version_of(application)]
    await settle(application)
    versions.append(await version_of(application))
    await refund(application, charge, 1)
    versions.append(await version_of(application))
    await settle(application)
    versions.append(await version_of(application))
    await expire_keys(application)
    await application.create_money.charge("other", "key", asked())
    await refund_as(application, charge, "another")
    versions.append(await version_of(application))
    assert versions == [0, 2, 3, 5, 6], "a mark is one write, taking it off another"


async def version_of(application: Application) -> int:
    charge = await application.store.charges.find_one({"merchant": "default"})
    assert charge is not None
    return int(charge["version"])


async def test_a_page_of_refunds_takes_in_no_others_of_their_charges(application: Application) -> None:
    charges, charge = application.store.charges, await create(application, metadata={"long": "x" * 500})
    await settle(application)
    await refund(application, charge, 1)
    await settle(application)
    stored = await charges.find_one({"_id": charge.id})
    assert stored is not None
    [first] = stored["refunds"]
    many = [{**first, "id": f"re_{number:032x}"} for number in range(499)]
    await charges.update_one({"_id": charge.id}, {"$set": {"refunds": [*many, first]}})
    await application.store.database.command("profile", 2)
    found, following = await application.show_money.refunds("default", Paging(limit=3))
    await application.store.database.command("profile", 0)
    assert (len(found), following is None) == (3, False)
    reads = application.store.database["system.profile"].find({"ns": {"$regex": r"\.charges$"}})
    assert max([one["responseLength"] async for one in reads]) < 3_000
