"""What customers of two merchants do with one order each: buy, change their minds, ask twice, and all of it at once."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from tools.chaos.lives_of_money import be_disputed, be_refunded_by_hand, pay_again, pay_twice
from tools.chaos.orders import AWKWARD, DECLINED, PAID, Life, seen


async def buy(life: Life) -> None:
    order_id, _ = await life.placed()
    if order_id:
        await life.pause(0, 2.0)
        await life.read(order_id)


async def press_the_button_many_times(life: Life) -> None:
    """Sends one key many times at once over every order_api, also with other bodies. The body with another number would make
    a second order, if the key did not stand in its way: nothing else does.
    """
    wish, key = life.wish(), life.key()
    dearer = msgspec.structs.replace(wish, amount_minor=wish.amount_minor + 1)
    another = msgspec.structs.replace(wish, order_number=f"{wish.order_number}-ANOTHER")
    wishes = [wish] * life.draw.randrange(3, 9) + [dearer, another]
    life.draw.shuffle(wishes)
    await asyncio.gather(*(life.place(one, key) for one in wishes))


async def ask_again_much_later(life: Life) -> None:
    wish, key = life.wish(), life.key()
    await life.place(wish, key)
    await life.pause(3, 12)
    await life.place(wish, key)


async def reuse_the_number(life: Life) -> None:
    wish = life.wish()
    keys = [life.key(), life.key("again")]
    if life.draw.random() < 0.5:
        await asyncio.gather(*(life.place(wish, key) for key in keys))
    else:
        for key in keys:
            await life.place(wish, key)


async def cancel_at_once(life: Life) -> None:
    order_id, _ = await life.placed()
    if order_id:
        await life.pause(0, 1.0)
        await asyncio.gather(life.cancel(order_id), life.cancel(order_id))
        await life.read(order_id)


async def cancel_when_settled(life: Life) -> None:
    order_id, _ = await life.placed()
    if order_id:
        await life.settled(order_id)
        await life.cancel(order_id)


async def take_it_back_in_parts(life: Life) -> None:
    """Refunds more parts than there is money, all at once, some asked for twice."""
    order_id, wish = await life.placed(PAID, AWKWARD)
    if order_id is None:
        return
    await life.settled(order_id)
    part = max(1, wish.amount_minor // 3)
    parts = [(part, f"refund-{number}") for number in range(life.draw.randrange(2, 6))] + [(part, "refund-0")]
    await asyncio.gather(*(life.refund(order_id, minor, wish.currency, use) for minor, use in parts))
    if life.draw.random() < 0.5:
        await life.refund(order_id, None, wish.currency, "refund-rest")
    await life.read(order_id)


async def cancel_and_take_back(life: Life) -> None:
    order_id, wish = await life.placed(PAID, AWKWARD)
    if order_id is None:
        return
    await life.pause(0, 2.0)
    await asyncio.gather(
        life.cancel(order_id),
        life.refund(order_id, None, wish.currency, "refund-all"),
        life.refund(order_id, max(1, wish.amount_minor // 2), wish.currency, "refund-half"),
    )
    await life.settled(order_id)


async def be_spied_on(life: Life) -> None:
    """Another merchant asks for the order, tries to change it, and places one of its own with the same number and key."""
    order_id, wish = await life.placed()
    if order_id is None:
        return
    other = life._replace(shop=life.other_shop)
    await other.place(wish, life.key())
    await asyncio.gather(other.read(order_id), other.cancel(order_id), other.refund(order_id, None, "USD", "theft"))
    await life.other_shop.get("read", f"/api/orders/{order_id}/events", order_id=order_id)
    await life.other_shop.get("list", "/api/orders?limit=5")


async def be_forged(life: Life) -> None:
    """Strangers post to the webhook URL, without and with the secret."""
    order_id, wish = await life.placed(PAID, DECLINED)
    if order_id is None:
        return
    await life.strangers.invent_payment(order_id, wish.amount_minor, wish.currency)
    await life.settled(order_id)
    events = seen(await life.shop.get("read", f"/api/orders/{order_id}/events", order_id=order_id)).get("data", [])
    await life.strangers.misuse(events, order_id)
    await life.read(order_id)


LIVES: dict[Callable[[Life], Awaitable[None]], int] = {
    buy: 5,
    press_the_button_many_times: 3,
    ask_again_much_later: 2,
    reuse_the_number: 1,
    cancel_at_once: 3,
    cancel_when_settled: 2,
    take_it_back_in_parts: 4,
    cancel_and_take_back: 3,
    pay_twice: 3,
    pay_again: 4,
    be_refunded_by_hand: 3,
    be_disputed: 3,
    be_spied_on: 1,
    be_forged: 3,
}
