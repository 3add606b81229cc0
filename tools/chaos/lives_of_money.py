"""What customers, banks and others do to an order's money: pay it twice or again, refund it at the provider, dispute it."""

import asyncio
from collections.abc import Awaitable

from tools.chaos.history import Operation
from tools.chaos.orders import AWKWARD, DECLINED, DISPUTED, PAID, REFUSED, Life, paid_by, seen

PAYMENTS_MAX = 4  # of an order that is paid again
CLOSED_SHARE = 0.85  # of disputes; the others are open at the end


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


async def pay_again(life: Life) -> None:
    """Pays a Failed order again, by one key twice or by two at once. The charge that failed may succeed late, as when
    customers go back to an earlier page.
    """
    order_id, wish = await life.placed(DECLINED, DECLINED, REFUSED)
    if order_id is None:
        return
    for number in range(2, PAYMENTS_MAX + 1):
        order = await life.settled(order_id)
        if order.get("status") != "Failed":
            break
        method = life.draw.choice(life.draw.choice((PAID, PAID, DECLINED, AWKWARD)))
        doing = [life.pay_again(order_id, method, f"pay-{number}") for _ in range(life.draw.randrange(1, 3))]
        if life.draw.random() < 0.3:
            doing.append(life.pay_again(order_id, "pm_card_visa", f"pay-{number}-too"))
        if life.draw.random() < 0.4:
            attempt, settle_seconds = life.draw.randint(1, len(order["payments"])), life.draw.choice((0.1, 1.0, 3.0))
            terms = (order_id, wish.amount_minor, wish.currency, "pm_card_visa")
            doing.append(life.strangers.charge(*terms, attempt=attempt, settle_seconds=settle_seconds))
        if life.draw.random() < 0.1:
            doing.append(life.cancel(order_id))
        await asyncio.gather(*doing)
    await life.settled(order_id)
    if life.draw.random() < 0.3:
        await life.refund(order_id, max(1, wish.amount_minor // 2), wish.currency, "refund-half")


async def be_refunded_by_hand(life: Life) -> None:
    """Refunds by hand at the provider, all of it or a part: beside a refund of ours, or before or after another charge."""
    order_id, wish = await life.placed(PAID)
    if order_id is None:
        return
    amount, half = wish.amount_minor, max(1, wish.amount_minor // 2)
    charge_id = paid_by(await life.settled(order_id))
    if charge_id is None:
        return
    doing: list[Awaitable[Operation]] = [
        life.strangers.refund(order_id, charge_id, life.draw.choice((amount, half, half)))
        for _ in range(life.draw.randrange(1, 3))
    ]
    if life.draw.random() < 0.4:
        doing.append(life.refund(order_id, life.draw.choice((None, half)), wish.currency, "refund-too"))
    if life.draw.random() < 0.5:
        seconds = life.draw.choice((None, 2.0))
        doing.append(life.strangers.charge(order_id, amount, wish.currency, "pm_card_visa", settle_seconds=seconds))
    if life.draw.random() < 0.5:
        await asyncio.gather(*doing)
    else:
        for one in life.draw.sample(doing, len(doing)):
            await one
            await life.pause(0, 2.0)
    await life.read(order_id)


async def be_disputed(life: Life) -> None:
    """Disputes a charge at the customer's bank, in whole or in part, whatever else is done. It may be closed."""
    order_id, wish = await life.placed(DISPUTED)
    if order_id is None:
        return
    half = max(1, wish.amount_minor // 2)
    charge_id = paid_by(await life.settled(order_id))
    if charge_id is None:
        return
    doing: list[Awaitable[Operation]] = []
    if wish.payment_method == "pm_card_disputed":
        await life.pause(0.5, 2.5)  # it comes about by itself
    else:
        doing.append(life.strangers.dispute(order_id, charge_id, life.draw.choice((wish.amount_minor, half))))
    if life.draw.random() < 0.4:
        doing.append(life.refund(order_id, life.draw.choice((None, half)), wish.currency, "refund-too"))
    if life.draw.random() < 0.2:
        doing.append(life.strangers.refund(order_id, charge_id, half))
    if life.draw.random() < 0.2:
        doing.append(life.strangers.charge(order_id, wish.amount_minor, wish.currency, "pm_card_visa"))
    await asyncio.gather(*doing)
    await life.pause(0, 3.0)
    for dispute in seen(await life.strangers.disputes(order_id)).get("data", []):
        if life.draw.random() < CLOSED_SHARE:
            await life.strangers.close(order_id, dispute["id"], life.draw.choice(("won", "lost")))
    await life.read(order_id)
