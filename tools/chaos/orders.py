"""What customers of two merchants do with one order each: buy, change their minds, ask twice, and all of it at once."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple

import msgspec

from tools.chaos.client import Client
from tools.chaos.history import Operation
from tools.chaos.strangers import Strangers

CURRENCIES = {"USD": 2, "EUR": 2, "JPY": 0, "KWD": 3}  # decimal places
PAID, DECLINED, AWKWARD = (
    ("pm_card_visa",),
    ("pm_card_declined", "pm_insufficient_funds"),
    # The provider misbehaves on the way: replies lost, late, broken or about something else; no such method at all.
    (
        *("pm_lost|pm_card_visa", "pm_timeout|pm_card_visa", "pm_500|pm_503|pm_card_visa", "pm_429|pm_card_visa"),
        *("pm_malformed_json|pm_card_visa", "pm_wrong_reference|pm_card_visa", "pm_lost|pm_card_declined"),
        *("pm_slow_reply|pm_card_visa", "pm_refund_fails", "pm_of_nobody"),
    ),
)
SETTLED_SECONDS = 30.0  # how long a customer looks whether the charge has ended


class Wish(msgspec.Struct, frozen=True):
    """An order to place, in minor units of its currency."""

    order_number: str
    amount_minor: int
    currency: str
    payment_method: str

    def body(self) -> dict[str, Any]:
        return {
            "orderNumber": self.order_number,
            "amount": major(self.amount_minor, self.currency),
            "currency": self.currency,
            "paymentMethod": self.payment_method,
            "metadata": {"number": self.order_number},
        }


class Life(NamedTuple):
    """One order's, and who has to do with it."""

    number: int
    shop: Client
    other_shop: Client
    strangers: Strangers
    draw: Random

    def wish(self, *methods: tuple[str, ...]) -> Wish:
        method = self.draw.choice(self.draw.choice(methods or (PAID, PAID, DECLINED, AWKWARD)))
        currency = self.draw.choice(list(CURRENCIES))
        return Wish(f"CHAOS-{self.number}", self.draw.randrange(100, 1_000_000), currency, method)

    def key(self, use: str = "place") -> str:
        """The same at every merchant: to whom a key belongs is part of it."""
        return f"order-{self.number}-{use}"

    async def place(self, wish: Wish, key: str) -> Operation:
        operation = await self.shop.post(
            "place", "/api/orders", wish.body(), key=key, command=msgspec.to_builtins(wish)
        )
        operation.order_id = order_id_of(operation)
        return operation

    async def placed(self, *methods: tuple[str, ...]) -> tuple[str | None, Wish]:
        """An order's id, unless it was not acknowledged."""
        wish = self.wish(*methods)
        return (await self.place(wish, self.key())).order_id, wish

    async def read(self, order_id: str) -> dict[str, Any]:
        operation = await self.shop.get("read", f"/api/orders/{order_id}", order_id=order_id)
        return seen(operation)

    async def settled(self, order_id: str) -> dict[str, Any]:
        """The order as soon as it is no longer Pending, or as it is after SETTLED_SECONDS."""
        patience = self.shop.history.now() + SETTLED_SECONDS
        while (order := await self.read(order_id)).get("status") == "Pending":
            if self.shop.history.now() > patience:
                break
            await self.pause(0.7, 2.0)
        return order

    async def cancel(self, order_id: str) -> Operation:
        return await self.shop.post("cancel", f"/api/orders/{order_id}/cancel", order_id=order_id)

    async def refund(self, order_id: str, minor: int | None, currency: str, use: str) -> Operation:
        """Of `minor`, or of the rest."""
        body = {} if minor is None else {"amount": major(minor, currency)}
        return await self.shop.post(
            "refund",
            f"/api/orders/{order_id}/refunds",
            body,
            key=self.key(use),
            order_id=order_id,
            command={"amount_minor": minor},
        )

    async def pause(self, least: float, most: float) -> None:
        """For so many seconds."""
        await asyncio.sleep(self.draw.uniform(least, most))


async def buy(life: Life) -> None:
    order_id, _ = await life.placed()
    if order_id:
        await life.pause(0, 2.0)
        await life.read(order_id)


async def press_the_button_many_times(life: Life) -> None:
    """One key many times at once over every order_api, and with other bodies. The one with another number would be a second
    order if the key did not stand in its way: nothing else does.
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
    """More parts than there is money, all at once, some asked for twice."""
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


async def pay_twice(life: Life) -> None:
    """A second charge of the order, past order_api: only one may be kept."""
    order_id, wish = await life.placed(PAID, DECLINED)
    if order_id is None:
        return
    method = life.draw.choice(("pm_card_visa", "pm_card_visa", "pm_card_declined", "pm_refund_fails"))
    await life.pause(0, 2.0)
    rival = life.strangers.charge(order_id, wish.amount_minor, wish.currency, method)
    if life.draw.random() < 0.4:
        await asyncio.gather(rival, life.cancel(order_id))
    else:
        await rival
    if life.draw.random() < 0.5:
        await life.refund(order_id, max(1, wish.amount_minor // 2), wish.currency, "refund-half")
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
    be_spied_on: 1,
    be_forged: 3,
}


def major(minor: int, currency: str) -> Decimal:
    return Decimal(minor).scaleb(-CURRENCIES[currency])


def seen(operation: Operation) -> dict[str, Any]:
    """What the client was answered, if it was a JSON object."""
    if operation.answer is None:
        return {}
    value = msgspec.json.decode(operation.answer.body)
    return value if isinstance(value, dict) else {}


def order_id_of(operation: Operation) -> str | None:
    return seen(operation).get("id")
