"""One order's life: the clients that have to do with it, and what they can do."""

import asyncio
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
DISPUTED = ("pm_card_disputed", "pm_card_visa", "pm_card_visa")
REFUSED = ("pm_of_nobody",)  # for good
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
        """The same key at every merchant, because the merchant is part of a key."""
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
        """Refunds `minor`, or the rest."""
        body = {} if minor is None else {"amount": major(minor, currency)}
        return await self.shop.post(
            "refund",
            f"/api/orders/{order_id}/refunds",
            body,
            key=self.key(use),
            order_id=order_id,
            command={"amount_minor": minor},
        )

    async def pay_again(self, order_id: str, method: str, use: str) -> Operation:
        return await self.shop.post(
            "pay",
            f"/api/orders/{order_id}/payments",
            {"paymentMethod": method},
            key=self.key(use),
            order_id=order_id,
            command={"payment_method": method},
        )

    async def pause(self, least: float, most: float) -> None:
        """Pauses for so many seconds."""
        await asyncio.sleep(self.draw.uniform(least, most))


def major(minor: int, currency: str) -> Decimal:
    return Decimal(minor).scaleb(-CURRENCIES[currency])


def seen(operation: Operation) -> dict[str, Any]:
    """The client's answer, if it was a JSON object."""
    if operation.answer is None:
        return {}
    value = msgspec.json.decode(operation.answer.body)
    return value if isinstance(value, dict) else {}


def paid_by(order: dict[str, Any]) -> str | None:
    """The charge that has paid an order, by its id."""
    return next((one["id"] for one in order.get("charges", []) if one["state"] == "succeeded"), None)


def order_id_of(operation: Operation) -> str | None:
    return seen(operation).get("id")
