"""C23, C25: a dispute opens once and is told once; what is disputed is not refunded too."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from payment_gateway.app import Application
from payment_gateway.money.dispute_charge import ClosedOtherwise
from payment_gateway.money.settle import Round
from shared import wire
from shared.idempotency import Answer
from shared.not_found import NotFound
from shared.pages import Paging
from tests.integration.payment_gateway.clock.test_clock import advance, freeze
from tests.integration.payment_gateway.conftest import MakeApplication, create
from tests.integration.payment_gateway.money.test_announcing import DiesError, out_of_hand, settled_only
from tests.integration.payment_gateway.money.test_charges_and_refunds import refund, settle

DISPUTED = "pm_card_disputed"


async def shown(application: Application, reference: str | None = None) -> list[wire.Dispute]:
    return (await application.show_money.disputes("default", Paging(limit=100), reference=reference)).things


async def dispute(application: Application, charge: wire.Charge, amount: int | None = None) -> Any:
    return await application.dispute_charge.open("default", charge.id, amount, "fraudulent")


async def told(application: Application) -> list[tuple[str, wire.Dispute]]:
    """What the merchant hears of disputes, in order."""
    found = await application.store.events.find({"type": {"$regex": "^dispute"}}).sort("created_at").to_list()
    envelopes = [msgspec.json.decode(one["raw"], type=wire.EventEnvelope) for one in found]
    return [(one.type, msgspec.convert(one.data, wire.Dispute)) for one in envelopes]


async def test_c24_a_charge_is_disputed_a_delay_after_it_has_succeeded_and_then_closed(
    make_application: MakeApplication,
) -> None:
    async with make_application(workers=True, charge_delay_seconds=60) as application:
        began = await freeze(application)
        charge = await create(application, payment_method=DISPUTED)
        await advance(application, timedelta(seconds=119))
        assert (await shown(application), await told(application)) == ([], [])
        [stored] = await application.store.charges.find().to_list()
        [waiting] = stored["disputes"]
        assert (stored["status"], waiting["status"]) == ("succeeded", "waiting")
        assert stored["due_at"] == waiting["opens_at"] == began + timedelta(seconds=120)
        assert await application.show_money.dispute("default", waiting["id"]) == NotFound("dispute")
        assert await application.dispute_charge.close("default", waiting["id"], "won") == NotFound("dispute")
        await advance(application, timedelta(seconds=1))
        [opened] = await shown(application, charge.reference)
        assert (opened.status, opened.amount, opened.charge_id) == ("open", charge.amount, charge.id)
        assert opened.created_at == began + timedelta(seconds=120)
        closed = await application.dispute_charge.close("default", opened.id, "lost")
        assert closed == await application.show_money.dispute("default", opened.id)
        assert [(kind, one.status) for kind, one in await told(application)] == [
            ("dispute.created", "open"),
            ("dispute.closed", "lost"),
        ]
        [stored] = await application.store.charges.find().to_list()
        assert (stored["announce"], stored["due_at"]) == ([], None)


async def test_c23_two_gateways_that_open_one_dispute_make_one_event(make_application: MakeApplication) -> None:
    async with make_application() as one, make_application() as other:
        for _ in range(10):
            await create(one, payment_method=DISPUTED)
        await settle(one)
        found = [await gateway.settle_charges._due() for gateway in (one, other)]
        assert [len(due) for due in found] == [10, 10]
        await asyncio.gather(
            one.settle_charges._settle_and_announce(Round(found[0])),
            other.settle_charges._settle_and_announce(Round(found[1])),
        )
        assert {dispute.id: dispute for _, dispute in await told(one)} == {each.id: each for each in await shown(one)}
        assert len(await told(one)) == 10
        assert await one.store.deliveries.count_documents({}) == 20


async def test_c23_a_dispute_is_announced_before_it_is_shown(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(application, payment_method=DISPUTED)
    await settle(application)
    await settled_only(application, monkeypatch)
    assert await told(application) == []
    [opened] = await shown(application)
    assert await told(application) == [("dispute.created", opened)]


@pytest.mark.parametrize("closing", [False, True])
async def test_c23_who_dies_between_writing_a_dispute_and_announcing_it_leaves_it_to_another(
    make_application: MakeApplication, monkeypatch: pytest.MonkeyPatch, closing: bool
) -> None:
    async def die(*_of: Any) -> None:
        raise DiesError

    async with make_application() as first, make_application() as second:
        charge = await create(first)
        await settle(first)
        opened = await dispute(first, charge) if closing else None
        with monkeypatch.context() as dead:
            dead.setattr(first.show_money, "dispute", die)
            with pytest.raises(DiesError):
                await (first.dispute_charge.close("default", opened.id, "won") if opened else dispute(first, charge))
        assert await settle(second) == 0, "it is still in the first one's hand"
        await out_of_hand(second)
        assert await settle(second) == 1
        assert [kind for kind, _ in await told(second)] == ["dispute.created", "dispute.closed"][: 1 + closing]
        [stored] = await second.store.charges.find().to_list()
        assert (stored["announce"], stored["due_at"]) == ([], None)


async def test_c25_refunds_and_disputes_that_race_never_exceed_their_charge(make_application: MakeApplication) -> None:
    async with make_application() as one, make_application() as other:
        charge = await create(one, amount=1000)
        await settle(one)
        gateways = (one, other)
        outcomes = await asyncio.gather(
            *(refund(gateway, charge, 70) for gateway in gateways for _ in range(10)),
            *(dispute(gateway, charge, 130) for gateway in gateways for _ in range(5)),
        )
        made = 70 * sum(isinstance(one, Answer) for one in outcomes)
        made += 130 * sum(isinstance(one, wire.Dispute) for one in outcomes)
        [stored] = await one.store.charges.find().to_list()
        assert sum(one["amount"] for one in (*stored["refunds"], *stored["disputes"])) == made
        assert 1000 - 70 < made <= 1000


async def test_c23_a_dispute_is_closed_with_one_outcome_however_many_close_it(
    make_application: MakeApplication,
) -> None:
    async with make_application() as one, make_application() as other:
        charge = await create(one)
        await settle(one)
        opened = await dispute(one, charge)
        outcomes = await asyncio.gather(
            *(
                gateway.dispute_charge.close("default", opened.id, outcome)
                for gateway in (one, other)
                for outcome in ("won", "lost", "won")
            )
        )
        [closed] = await shown(one)
        assert {one.status for one in outcomes if isinstance(one, wire.Dispute)} == {closed.status}
        assert {one for one in outcomes if not isinstance(one, wire.Dispute)} == {ClosedOtherwise(closed.status)}
        assert await told(one) == [("dispute.created", opened), ("dispute.closed", closed)]


async def test_disputes_are_listed_newest_first_by_the_reference_of_their_charge(application: Application) -> None:
    charges = [await create(application), await create(application), await create(application, payment_method=DISPUTED)]
    await settle(application)
    for number in range(5):
        await dispute(application, charges[number % 2], 1 + number)
    assert [one.amount for one in await shown(application)] == [5, 4, 3, 2, 1], "and not the one that waits"
    first = await application.show_money.disputes("default", Paging(limit=2))
    assert [one.amount for one in first.things] == [5, 4]
    rest = await application.show_money.disputes("default", Paging(limit=3, after=first.following))
    assert ([one.amount for one in rest.things], rest.following) == ([3, 2, 1], None)
    assert [one.amount for one in await shown(application, charges[1].reference)] == [4, 2]
    assert await shown(application, charges[2].reference) == []


async def test_a_dispute_of_another_merchant_is_not_there(application: Application) -> None:
    charge = await create(application)
    await settle(application)
    disputes = application.dispute_charge
    assert await disputes.open("other", charge.id, None, "fraudulent") == NotFound("charge")
    opened = await dispute(application, charge)
    assert await disputes.close("other", opened.id, "won") == NotFound("dispute")
    assert await application.show_money.dispute("other", opened.id) == NotFound("dispute")
    assert (await application.show_money.disputes("other", Paging(), reference=charge.reference)).things == []


@pytest.mark.parametrize("reference", [False, True])
async def test_a_list_of_disputes_reads_no_charge_without_one(application: Application, reference: bool) -> None:
    charges = [await create(application, amount=1000 + number) for number in range(30)]
    await settle(application)
    await dispute(application, charges[7])
    database = application.store.database
    await database.command("profile", 2)
    assert [one.amount for one in await shown(application, charges[7].reference if reference else None)] == [1007]
    await database.command("profile", 0)
    reads = database["system.profile"].find({"command.aggregate": "charges"})
    assert [one["docsExamined"] async for one in reads] == [1, 1]
