"""WCAG 2.2 AA on every view of both consoles, as far as a program can judge it: axe-core finds nothing."""

from typing import Any

import aiohttp
import pytest
from axe_playwright_python.async_playwright import Axe

from tests.e2e.conftest import Api, ends, order_body
from tests.e2e.console.conftest import WIDTHS, Console, OpenConsole
from tests.e2e.console.steps import place_by_hand
from tools.stack import Stack

OPTIONS = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
    "resultTypes": ["violations"],  # of the rules that are kept it describes one element each, not all
}
SCHEMES: tuple[Any, ...] = ("light", "dark")
ORDER_VIEWS = ("#/orders", "#/orders/{id}", "#/glance", "#/outbox", "#/webhooks", "#/orders?q=status:failed")
GATEWAY_VIEWS = (
    *(
        "#/requests",
        "#/deliveries",
        "#/references/{id}",
        "#/charges",
        "#/endpoints",
        "#/signature",
        "#/chaos",
        "#/clock",
    ),
)


@pytest.fixture(scope="module")
async def order_id(stack: Stack) -> str:
    """One that is paid, beside one that has failed."""
    async with aiohttp.ClientSession() as http:
        api = Api(http, stack.order_apis[0].url)
        await api.place(order_body(paymentMethod="pm_card_declined"))
        _, _, order = await api.place(order_body())
        return str((await ends(api, order["id"], "Paid"))["id"])


@pytest.mark.parametrize("view", ORDER_VIEWS)
async def test_the_order_console_can_be_used_by_everybody(
    view: str, open_console: OpenConsole, stack: Stack, order_id: str
) -> None:
    console = await open_console(stack.order_apis[0].url, view.format(id=order_id))
    assert await violations(console) == []


@pytest.mark.parametrize("view", GATEWAY_VIEWS)
async def test_the_gateway_console_can_be_used_by_everybody(
    view: str, open_console: OpenConsole, stack: Stack, order_id: str
) -> None:
    fragment = f"#key={stack.api_key}&{view.format(id=order_id).removeprefix('#')}"
    console = await open_console(stack.gateways[0].url, fragment)
    assert await violations(console) == []


async def test_a_dialog_can_be_used_by_everybody(open_console: OpenConsole, stack: Stack) -> None:
    console = await open_console(stack.order_apis[0].url, "#/orders")
    await console.button("Place an order").click()
    await console.page.get_by_role("dialog").wait_for()
    assert await violations(console) == []


async def test_what_came_of_an_order_that_was_placed_can_be_used_by_everybody(
    open_console: OpenConsole, stack: Stack
) -> None:
    console = await open_console(stack.order_apis[0].url, "#/orders")
    await place_by_hand(console)
    await console.button("Other body").click()
    await console.page.locator(".exchange").nth(1).wait_for()
    assert await violations(console) == []


async def test_every_moment_unfolded_can_be_used_by_everybody(
    open_console: OpenConsole, stack: Stack, order_id: str
) -> None:
    console = await open_console(stack.order_apis[0].url, f"#/orders/{order_id}")
    for summary in await console.page.locator(".moment").all():
        await summary.click()
    assert await violations(console) == []


async def test_what_nobody_could_use_would_be_found(open_console: OpenConsole, stack: Stack) -> None:
    console = await open_console(stack.order_apis[0].url, "#/orders")
    await console.asks("document.querySelector('main').append(document.createElement('button'))")
    assert any(one.startswith("button-name: ") for one in await violations(console))


async def violations(console: Console) -> list[str]:
    """What axe-core finds, in light on a phone and in dark on a desk, a line each: the rule, and where."""
    found = []
    for scheme, width in zip(SCHEMES, WIDTHS, strict=True):
        await console.page.emulate_media(color_scheme=scheme)
        await console.page.set_viewport_size({"width": width, "height": 900})
        for one in (await Axe().run(console.page, options=OPTIONS)).response["violations"]:
            found += [
                f"{one['id']}: {scheme} {width} {node['html'][:200]} {node['failureSummary']}" for node in one["nodes"]
            ]
    return found
