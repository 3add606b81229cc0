"""C5 and C10: whose key it is, whoever comes between; and what has expired is what the server says."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import msgspec
import pytest

from order_api.app import Application
from order_api.order import Order
from shared.documents.keys import forget_expired
from shared.idempotency import Answer, Key, KeyReused, entry_of
from shared.mongo import Collection
from tests.integration.order_api.conftest import (
    MakeApplication,
    expire,
    new_order,
    paid,
    place,
    refund,
    stored_order,
)


class BetweenReads:
    """A collection in which something happens after the first of the reads that explain a duplicate."""

    def __init__(self, orders: Collection, happen: Callable[[], Any]) -> None:
        self._orders = orders
        self._happen = happen
        self._reads = 0

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._orders, name)
        if name != "aggregate":
            return real

        async def read(*arguments: Any, **options: Any) -> Any:
            found = await real(*arguments, **options)
            self._reads += 1
            if self._reads == 1:
                await self._happen()
            return found

        return read


async def stored_key(application: Application, order: Order, key: str) -> Key | None:
    return entry_of((await stored_order(application, order.id)).keys, key)


async def test_c5_a_known_key_with_another_orders_number_is_told_as_the_key_used_twice(
    application: Application,
) -> None:
    first, second = new_order(), new_order()
    await application.place_order("one", first)
    await application.place_order("two", second)
    mixed = new_order(order_number=second.order_number)
    assert isinstance(await application.place_order("one", mixed), KeyReused)


async def test_c5_a_refund_under_the_key_of_another_order_is_told_as_the_key_used_twice(
    application: Application,
) -> None:
    """Whether it would be made or refused."""
    first, other = [await paid(application) for _ in range(2)]
    unpaid = await place(application)
    assert isinstance(await refund(application, first, 1, key="a-key"), Answer)
    assert isinstance(await refund(application, other, 1, key="a-key"), KeyReused)
    assert isinstance(await refund(application, unpaid, 1, key="a-key"), KeyReused)
    assert (await stored_order(application, other.id)).refunds == ()


async def test_c5_a_winner_that_becomes_readable_between_two_reads_is_replayed(
    make_application: MakeApplication,
) -> None:
    async with make_application() as first, make_application() as second:
        new = new_order()
        ours = first.place_order._order("a-key", new, 9999, 2)
        answers: list[Any] = []

        async def win() -> None:
            answers.append(await second.place_order("a-key", new))

        first.store.orders = cast("Collection", BetweenReads(first.store.orders, win))
        explained = [await first.place_order._explain([ours]) for _ in range(2)]
    [answer] = answers
    # It is there in whole or not at all: what is found by the second read only is looked for again.
    assert explained[0] in ([None], [replayed(answer)])
    assert explained[1] == [replayed(answer)]


def replayed(answer: Answer) -> Answer:
    return msgspec.structs.replace(answer, replayed=True)


async def test_c10_a_key_that_was_used_anew_since_it_was_read_is_not_taken_off(application: Application) -> None:
    order = await paid(application)
    await refund(application, order, 1, key="a-key")
    await expire(application, "a-key")
    assert isinstance(await refund(application, order, 2, key="a-key"), Answer)
    anew = await stored_key(application, order, "a-key")
    await expire(application, order.keys[0].value)
    assert await forget_expired(application.store.orders, [order.id]) == 1
    assert (await stored_order(application, order.id)).keys == (anew,)


async def test_c10_a_key_that_is_live_by_the_servers_clock_is_not_taken_off(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The filter of the write decides, and not the clock of the process."""
    order = await place(application)
    [key] = order.keys
    monkeypatch.setattr("shared.times.utc_now", lambda: key.expires_at + timedelta(seconds=1))
    assert await forget_expired(application.store.orders, [order.id]) == 0
    assert (await stored_order(application, order.id)).keys == (key,)


async def test_c10_an_expired_key_starts_one_order_and_its_first_order_stays(application: Application) -> None:
    first = new_order()
    await application.place_order("a-key", first)
    await expire(application, "a-key")
    again = await application.place_order("a-key", new_order())
    assert isinstance(again, Answer)
    assert not again.replayed
    assert await application.store.orders.count_documents({}) == 2
    assert await application.store.orders.count_documents({"keys.value": "a-key"}) == 1
