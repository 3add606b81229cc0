"""What the tests of the order console do in common."""

import asyncio
import os
from typing import Any
from uuid import uuid4

from playwright.async_api import Locator

from tests.e2e.conftest import Api, ends, order_body
from tests.e2e.console.conftest import Console


async def placed(api: Api, **changes: Any) -> dict[str, Any]:
    status, _, order = await api.place(order_body(**changes))
    assert status == 201, order
    return dict(order)


async def paid(api: Api, **changes: Any) -> dict[str, Any]:
    return await ends(api, (await placed(api, **changes))["id"], "Paid")


async def failed(api: Api) -> dict[str, Any]:
    return await ends(api, (await placed(api, paymentMethod="pm_card_declined"))["id"], "Failed")


def row(console: Console, order: dict[str, Any]) -> Locator:
    return console.page.locator(f".rows > li[data-key='{order['id']}']")


def status(console: Console) -> Locator:
    """Of the order that is shown."""
    return console.page.locator(".order-title .badge")


async def place_by_hand(console: Console, number: str = "", card: str = "pm_card_visa", amount: str = "12.50") -> str:
    """Returns the order's number."""
    number = number or f"ORD-{uuid4().hex[:8]}"
    await console.button("Place an order").first.click()
    dialog = console.page.get_by_role("dialog", name="Place an order")
    await dialog.get_by_label("Order number").fill(number)
    await dialog.get_by_label("Amount").fill(amount)
    choice = console.page.locator(f"input[value='{card}']")
    if not await choice.is_visible():
        await dialog.locator("details", has=choice).locator("summary").click()
    await choice.check()
    await console.button("Place the order").click()
    return number


async def copied(console: Console) -> str:
    return str(await console.asks("navigator.clipboard.readText()"))


async def in_a_shell(command: str, **environment: str) -> str:
    """What it prints."""
    process = await asyncio.create_subprocess_exec(
        "sh",
        "-c",
        command.replace("curl -i ", "curl -si "),
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0, printed
    return printed.decode()
