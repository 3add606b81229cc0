"""C3 and C11: claiming calls is right for whatever has become of their orders since they were found due."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from bson import Int64

from order_api import claims
from order_api.app import Application
from order_api.facts import Refund
from order_api.outbox import with_refund_asked
from shared.documents import Verdict
from shared.mongo import Collection
from shared.times import utc_now
from tests.integration.order_api.conftest import place


class AfterTheSearch:
    """A collection to which something happens between the search for what is due and the claim."""

    def __init__(self, orders: Collection, happen: Callable[[], Any]) -> None:
        self._orders = orders
        self._happen = happen
        self._searched = False

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._orders, name)
        if name != "aggregate" or self._searched:
            return real

        async def search(*arguments: Any, **options: Any) -> Any:
            self._searched = True
            found = await real(*arguments, **options)
            await self._happen()
            return found

        return search


async def take(orders: Any, token: str, *, limit: int = 10) -> list[str]:
    """The ids of the calls that were claimed under `token`."""
    taken = await claims.take(orders, token, limit=limit, lease_seconds=45.0)
    return [call["id"] for order in taken for call in order["calls"] if call["claim"] == token]


async def test_c3_a_claim_is_right_for_an_order_that_has_changed_since_it_was_found(application: Application) -> None:
    await place(application)
    orders = application.store.orders

    async def change() -> None:
        await orders.update_one({}, {"$set": {"metadata": {"a": "b"}}, "$inc": {"version": Int64(1)}})

    [call_id] = await take(AfterTheSearch(orders, change), "token")
    [stored] = await orders.find().to_list()
    [call] = stored["calls"]
    assert (call["id"], call["attempts"], stored["due_at"]) == (call_id, 1, call["due_at"])
    assert (stored["version"], stored["metadata"]) == (3, {"a": "b"})


async def test_c11_two_who_find_the_same_call_due_never_both_claim_it(application: Application) -> None:
    await place(application)
    orders = application.store.orders
    first: list[str] = []

    async def claim_it() -> None:
        first.extend(await take(orders, "first"))

    assert await take(AfterTheSearch(orders, claim_it), "second") == []
    [stored] = await orders.find().to_list()
    [call] = stored["calls"]
    assert ([call["id"]], call["claim"], call["attempts"]) == (first, "first", 1)


async def test_c11_of_many_calls_of_one_order_no_more_are_claimed_than_fit(application: Application) -> None:
    order = await place(application)

    def ask(found: Any, _now: Any) -> Verdict[Any, None]:
        for number in range(5):
            refund = Refund(
                id=f"rf_{number:032x}",
                charge_id="ch_1",
                amount_minor=1,
                state="requested",
                cause="merchant",
                at=utc_now(),
            )
            found = with_refund_asked(found, refund, now=utc_now())
        return Verdict(None, found)

    await application.store.change(order.id, ask)
    orders = application.store.orders
    taken = [await take(orders, f"token {number}", limit=4) for number in range(3)]
    assert [len(one) for one in taken] == [4, 2, 0]
    assert len({call_id for one in taken for call_id in one}) == 6


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(hours=-1)], ids=["fast", "slow"])
async def test_c11_leases_are_judged_by_the_servers_clock_and_not_by_ours(
    application: Application, monkeypatch: pytest.MonkeyPatch, ahead: timedelta
) -> None:
    order = await place(application)
    wrong = utc_now() + ahead
    for module in ("shared.times", "order_api.dispatch_outbox", "order_api.store"):
        monkeypatch.setattr(f"{module}.utc_now", lambda: wrong, raising=False)
    [call] = await take(application.store.orders, "one")
    assert await take(application.store.orders, "two") == []
    look: list[dict[str, Any]] = [{"$match": {"_id": order.id}}, {"$set": {"read_at": "$$NOW"}}]
    [found] = await (await application.store.orders.aggregate(look)).to_list()
    [stored] = found["calls"]
    assert stored["id"] == call
    assert timedelta(0) < stored["due_at"] - found["read_at"] <= timedelta(seconds=45)
