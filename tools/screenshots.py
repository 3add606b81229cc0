"""`make screenshots`: makes the pictures of the consoles for the README and the docs anew. Needs Chromium.

It starts everything with a database of its own, has a shop's morning happen through the API, and takes the pictures.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import aiohttp
from playwright.async_api import Browser, Page, async_playwright

from tools.demo_shop import Json, Shop
from tools.mongod import temporary_mongod
from tools.process import free_port
from tools.stack import ServiceError, Stack, exit_on_sigterm

PICTURES = Path(__file__).parent.parent / "docs" / "screenshots"
DESKTOP, PHONE = (1280, 820), (390, 844)
FAULTS = {
    "seed": 42,
    "rates": {"reply_lost": 0.15, "webhook_duplicated": 0.2, "webhook_delayed": 0.1},
    "webhookDelaySeconds": 4,
}
CARDS = (
    *("pm_card_visa", "pm_card_visa", "pm_card_declined", "pm_card_visa", "pm_insufficient_funds", "pm_card_visa"),
    *("pm_card_visa", "pm_card_disputed", "pm_card_visa", "pm_500|pm_card_visa", "pm_card_visa", "pm_slow"),
)
PRICES = (("24.90", "EUR"), ("129.00", "USD"), ("9.95", "USD"), ("4800", "JPY"), ("61.50", "GBP"), ("318.20", "EUR"))


class Shot(NamedTuple):
    """A view of one of the consoles. It is taken in both colour schemes."""

    name: str
    of: Literal["order_api", "payment_gateway"]
    fragment: str
    size: tuple[int, int] = DESKTOP


def main() -> None:
    exit_on_sigterm()
    if (chromium := shutil.which("chromium")) is None:
        raise SystemExit("screenshots: chromium is missing\n  type: apt-get install chromium")
    environment = {"CHARGE_DELAY_SECONDS": "3", "WEBHOOK_RETRY_SCHEDULE_SECONDS": "2,5,300"}
    with tempfile.TemporaryDirectory(prefix="screenshots-") as logs, temporary_mongod() as mongod:
        stack = Stack(mongod.uri, Path(logs), order_apis=[free_port()], gateways=[free_port()], environment=environment)
        try:
            with stack.running():
                asyncio.run(_take(stack, chromium))
        except ServiceError as error:
            raise SystemExit(f"screenshots: {error}") from None


async def _take(stack: Stack, chromium: str) -> None:
    async with aiohttp.ClientSession() as http, async_playwright() as playwright:
        seen = await _a_morning(stack, http)
        PICTURES.mkdir(exist_ok=True)
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for shot in _shots(seen):
            for scheme in ("light", "dark"):
                await _shoot(browser, stack, shot, scheme)
        await browser.close()


def _shots(order: Json) -> list[Shot]:
    one = f"#/orders/{order['id']}"
    return [
        Shot("orders", "order_api", "#/orders"),
        Shot("timeline", "order_api", one),
        Shot("timeline-phone", "order_api", one, PHONE),
        Shot("chaos", "payment_gateway", "#/chaos"),
    ]


async def _a_morning(stack: Stack, http: aiohttp.ClientSession) -> Json:
    """Places orders that end in many ways, under faults. Returns one to look at, whose first replies went wrong."""
    shop = Shop(stack, http)
    key = {"Authorization": f"Bearer {stack.api_key}"}
    async with http.put(f"{stack.gateways[0].url}/v1/test/faults", json=FAULTS, headers=key) as put:
        put.raise_for_status()
    orders = []
    for number in range(36):
        amount, currency = PRICES[number % len(PRICES)]
        card = CARDS[number % len(CARDS)]
        orders.append(await _place(shop, 1001 + number, amount, currency, card))
    story = await _place(shop, 1037, "149.00", "EUR", "pm_500|pm_lost|pm_card_visa")
    story = await shop.once(story["id"], "it is paid", _is("Paid"))
    await shop.refund("refund-of-1037", story, {"amount": 49.00, "refundNumber": "R-1"})
    await shop.once(story["id"], "a part is refunded", _is("PartiallyRefunded"))
    declined = await shop.settled(orders[2]["id"])
    await shop.pay_again("again-1003", declined, "pm_card_visa")
    await shop.send_webhook(b'{"id": "evt_forged", "type": "payment.succeeded"}', "whsec_" + "A" * 43 + "=")
    for number, card in enumerate(("pm_card_visa", "pm_slow", "pm_card_visa")):
        await _place(shop, 1038 + number, "42.00", "USD", card)
    return await shop.order(story["id"])


async def _place(shop: Shop, number: int, amount: str, currency: str, card: str) -> Json:
    order = {"orderNumber": f"ORD-{number}", "amount": amount, "currency": currency, "paymentMethod": card}
    return (await shop.place(f"order-{number}", order))[1]


def _is(status: str) -> Callable[[Json], bool]:
    return lambda order: order["status"] == status


async def _shoot(browser: Browser, stack: Stack, shot: Shot, scheme: Any) -> None:
    service = stack.order_apis[0] if shot.of == "order_api" else stack.gateways[0]
    width, height = shot.size
    page = await browser.new_page(
        color_scheme=scheme, viewport={"width": width, "height": height}, device_scale_factor=1.5
    )
    await page.goto(f"{service.url}/#key={stack.api_key}&{shot.fragment[1:]}")
    await _settle(page)
    path = PICTURES / f"{shot.name}-{scheme}.png"
    await page.screenshot(path=path)
    print(f"{path.relative_to(PICTURES.parent.parent)}  {path.stat().st_size // 1024} KiB", flush=True)
    await page.close()


async def _settle(page: Page) -> None:
    """Waits until the view is there and has stopped moving."""
    await page.locator("main h1").wait_for()
    await page.locator("main .loading").first.wait_for(state="detached")
    await page.wait_for_function(
        "document.getAnimations().every(one => one.playState !== 'running' || !isFinite(one.effect.getTiming().iterations))"
    )


if __name__ == "__main__":
    main()
