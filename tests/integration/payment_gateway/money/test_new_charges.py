"""C23: a new charge that settles at once is settled without a read that finds it, and announced like any other."""

import asyncio
import math
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from payment_gateway.app import Application
from payment_gateway.money.charge import Charge
from shared.batches import UnavailableError
from shared.idempotency import KeyReused
from shared.times import utc_now
from tests.http_double import HttpDouble
from tests.integration.payment_gateway.conftest import create
from tests.integration.payment_gateway.money.test_charges_and_refunds import settle
from tests.integration.payment_gateway.webhooks.test_endpoints import add


@pytest.fixture(autouse=True)
def no_look_is_due_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, a look comes only when a test makes it due."""
    monkeypatch.setattr("payment_gateway.money.settle.LOOK_SECONDS", 3600)


async def test_new_charges_that_settle_at_once_are_not_looked_for_but_what_else_is_due_is_soon(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    settling, looks = application.settle_charges, 0
    due = settling._due

    async def look() -> Any:
        nonlocal looks
        looks += 1
        return await due()

    monkeypatch.setattr(settling, "_due", look)
    await settling._claim(1)
    charges = [await create(application) for _ in range(2)]
    [round_] = await settling._claim(1)
    assert ([one.document["_id"] for one in round_.new], looks) == ([charge.id for charge in charges], 1)
    assert await settling._settle_and_announce(round_) == 2
    assert await application.store.events.count_documents({}) == 2
    await create(application)
    settling._looked_at = -math.inf
    await settling._claim(1)
    assert looks == 2


async def being_stored(application: Application) -> "asyncio.Future[Any]":
    """The end of an insert. Its charge is there already, but Settle does not know that."""
    charge = await create(application)
    document = await application.store.charges.find_one(charge.id)
    inserting = asyncio.get_running_loop().create_future()
    application.settle_charges.expect_new(utc_now(), msgspec.convert(document, Charge), inserting)
    return inserting


@pytest.mark.parametrize(
    ("end", "settled_now"),
    [
        (lambda inserting: inserting.set_result(None), 1),
        (lambda inserting: inserting.set_result(KeyReused()), 0),
        (lambda inserting: inserting.set_exception(UnavailableError()), 0),
        (lambda inserting: inserting.cancel(), 0),
    ],
    ids=["stored", "refused", "unknown", "cancelled"],
)
async def test_endpoints_are_read_while_a_charge_is_stored_and_it_is_settled_only_if_it_is(
    application: Application,
    monkeypatch: pytest.MonkeyPatch,
    end: Callable[["asyncio.Future[Any]"], object],
    settled_now: int,
) -> None:
    settling = application.settle_charges
    await settling._claim(1)
    inserting = await being_stored(application)
    endpoints_of = settling._endpoints_of

    async def then_it_ends(charges: Any) -> Any:
        endpoints = await endpoints_of(charges)
        assert await application.store.events.count_documents({}) == 0
        end(inserting)
        return endpoints

    [round_] = await settling._claim(1)
    with monkeypatch.context() as patch:
        patch.setattr(settling, "_endpoints_of", then_it_ends)
        assert await settling._settle_and_announce(round_) == settled_now
    assert await application.store.events.count_documents({}) == settled_now
    assert await settle(application) == 1 - settled_now  # a look finds what is stored all the same
    assert await application.store.events.count_documents({}) == 1


async def test_c23_a_charge_that_is_stored_late_is_told_to_an_endpoint_that_was_made_meanwhile(
    application: Application, receiver: HttpDouble
) -> None:
    settling = application.settle_charges
    await settling._claim(1)
    inserting = await being_stored(application)
    [round_] = await settling._claim(1)
    assert await settling._settle_and_announce(round_) == 0
    other = await create(application)
    [round_] = await settling._claim(1)
    assert [one.document["_id"] for one in round_.new] == [other.id], "no other charge waits for it"
    assert await settling._settle_and_announce(round_) == 1
    await add(application, f"{receiver.url}/more")
    inserting.set_result(None)
    [round_] = await settling._claim(1)
    assert await settling._settle_and_announce(round_) == 1
    assert await application.store.deliveries.count_documents({}) == 1 + 2


async def test_charges_that_are_refused_or_too_many_are_not_kept_and_a_look_finds_what_is_stored(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("payment_gateway.money.settle.AT_ONCE", 2)
    settling = application.settle_charges
    await settling._claim(1)
    (await being_stored(application)).set_result(KeyReused())
    [round_] = await settling._claim(1)
    assert (len(round_.found), round_.new) == (1, [])
    new = [await being_stored(application) for _ in range(2)]
    await create(application)  # one too many
    [round_] = await settling._claim(1)
    assert (len(round_.found), round_.new, len(new)) == (2, [], 2)


async def test_old_charges_do_not_wait_behind_new_ones(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("payment_gateway.money.settle.AT_ONCE", 2)
    settling = application.settle_charges
    old = [(await create(application)).id for _ in range(3)]
    settling._new.clear()  # as after a restart
    await settling._claim(1)
    await create(application)
    [round_] = await settling._claim(1)
    assert ([one["_id"] for one in round_.found], round_.new) == (old[:2], [])
