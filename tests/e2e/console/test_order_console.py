"""The order console as a whole: its other views, and what holds for all of them."""

import json
from hashlib import sha256
from uuid import uuid4

import aiohttp
import httpx
import pytest
from playwright.async_api import expect

from tests.e2e.conftest import JSON, Api, StartStack, order_body
from tests.e2e.console.conftest import WIDTHS, OpenConsole
from tests.e2e.console.steps import copied, failed, in_a_shell, paid, placed, row
from tools.stack import Stack

HOSTILE = {
    "a tag": "<img src=x onerror=alert(1)>",
    "right to left": "مرحبا بالعالم هذا رقم الطلب",
    "a very long word": "W" * 64,
    "a template": "${alert(1)}{{7*7}}</script>",
}
VIEWS = ("#/orders", "#/glance", "#/outbox", "#/webhooks")


async def test_the_figures_at_a_glance_are_those_of_the_metrics(open_console: OpenConsole, url: str, api: Api) -> None:
    await failed(api)
    await paid(api)
    console = await open_console(url, "#/glance")
    for name in ("Orders by status", "Time to Paid", "Calls of the provider", "For a person to look at"):
        await expect(console.page.get_by_role("heading", name=name)).to_be_visible()
    shown = console.page.locator(".tile", has_text="Breaker").locator(".tile-value")
    await expect(shown).to_have_text("Closed")
    shown_failed = console.page.locator(".bar", has_text="Failed").locator(".bar-value")
    metrics = (await api.call("GET", "/metrics"))[2]
    assert f'order_api_orders_total{{status="Failed"}} {await shown_failed.inner_text()}.0\n' in metrics


async def test_a_forged_webhook_is_among_the_refused_ones_and_can_be_signed(
    open_console: OpenConsole, url: str, api: Api, stack: Stack
) -> None:
    body = json.dumps(
        {"id": f"evt_{uuid4().hex}", "type": "shop.opened", "timestamp": "2026-11-28T12:00:00Z", "data": {}}
    )
    console = await open_console(url, "#/webhooks")
    headers = {"X-Signature": "t=1,v1=00", **JSON}
    assert (await api.call("POST", "/api/webhooks/payments", data=body, headers=headers))[0] == 401
    refused = console.page.locator(".rows > li").first
    await expect(refused).to_contain_text("The webhook signature is not valid")
    await refused.locator("summary").click()
    await refused.get_by_role("button", name="Copy as signed curl").click()
    answer = await in_a_shell(await copied(console), WEBHOOK_SECRET=stack.webhook_secret)
    assert '{"outcome":"ignored"}' in answer


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_text_stays_text_and_fits(
    open_console: OpenConsole, url: str, api: Api, width: int, name: str
) -> None:
    number = HOSTILE[name]
    await api.place(order_body(orderNumber=number, metadata={f"of {number}"[:40].strip(): number * 3}))
    order = (await api.call("GET", "/api/orders", params={"orderNumber": number}))[2]["data"][0]
    console = await open_console(url, f"#/orders?q={_escaped(chr(34) + number + chr(34))}", width=width)
    await expect(row(console, order)).to_contain_text(number)
    assert await console.overflowing() == []
    await console.go(f"#/orders/{order['id']}")
    await expect(console.page.get_by_role("heading", level=1)).to_have_text(number)
    for summary in await console.page.locator(".moment").all():
        await summary.click()
    assert await console.overflowing() == []


@pytest.mark.parametrize("width", WIDTHS)
async def test_no_view_is_wider_than_the_screen(open_console: OpenConsole, url: str, api: Api, width: int) -> None:
    order = await paid(api, paymentMethod="pm_500|pm_lost|pm_card_visa")
    console = await open_console(url, f"#/orders/{order['id']}", width=width)
    found = {"order": await console.overflowing()}
    for view in VIEWS:
        await console.go(view)
        found[view] = await console.overflowing()
    await console.go("#/orders")
    await console.button("Place an order").first.click()
    found["dialog"] = await console.overflowing()
    assert found == {key: [] for key in found}


async def test_the_console_is_used_by_the_keyboard_alone(open_console: OpenConsole, url: str, api: Api) -> None:
    older, newer = await placed(api), await placed(api)
    console = await open_console(url, "#/orders")
    keyboard = console.page.keyboard
    await expect(row(console, newer)).to_be_visible()
    await keyboard.press("j")
    await expect(row(console, newer).locator("a")).to_be_focused()
    await keyboard.press("j")
    await expect(row(console, older).locator("a")).to_be_focused()
    await keyboard.press("k")
    await keyboard.press("Enter")
    await expect(console.page.get_by_role("heading", name=newer["orderNumber"])).to_be_visible()
    await keyboard.press("?")
    await expect(console.page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    await keyboard.press("Escape")
    await expect(console.page.get_by_role("dialog")).to_have_count(0)
    await keyboard.press("/")
    await expect(console.page.get_by_role("searchbox")).to_be_focused()


async def test_the_theme_is_chosen_and_kept(open_console: OpenConsole, url: str) -> None:
    console = await open_console(url, "#/orders", scheme="dark")
    await console.button("Theme: auto. Change it").click()
    light = await console.asks("getComputedStyle(document.body).backgroundColor")
    await console.page.reload()
    await expect(console.button("Theme: light. Change it")).to_be_visible()
    await console.button("Theme: light. Change it").click()
    assert await console.asks("getComputedStyle(document.body).backgroundColor") != light


async def test_after_a_restart_under_the_open_page_it_connects_again_and_shows_what_it_missed(
    start_stack: StartStack, open_console: OpenConsole, http: aiohttp.ClientSession
) -> None:
    with start_stack(order_apis=2) as stack:
        watched, other = stack.order_apis
        console = await open_console(watched.url, "#/orders")
        await expect(console.button("Live")).to_be_visible()
        watched.stop()
        await expect(console.button("Reconnecting")).to_be_visible()
        missed = await placed(Api(http, other.url))
        watched.start()
        await expect(row(console, missed)).to_be_visible()
        await expect(console.button("Live")).to_be_visible()


async def test_with_api_keys_the_page_asks_for_one_and_no_address_keeps_it(
    start_stack: StartStack, open_console: OpenConsole, http: aiohttp.ClientSession
) -> None:
    key = "the-key-of-a-shop"
    with start_stack(ORDER_API_KEYS=f"shop:{sha256(key.encode()).hexdigest()}") as stack:
        service = stack.order_apis[0]
        bearer = {"Authorization": f"Bearer {key}"}
        order = (await Api(http, service.url).place(order_body(), **bearer))[2]
        console = await open_console(service.url, f"#key={key}&/orders")
        await expect(row(console, order)).to_be_visible()
        assert console.page.url == f"{service.url}/#/orders"
        await console.asks("sessionStorage.clear()")
        await console.page.reload()
        await console.page.get_by_role("textbox", name="API key").fill(key)
        await console.page.keyboard.press("Enter")
        await expect(row(console, order)).to_be_visible()
        await expect(console.button("Live")).to_be_visible()


def _escaped(text: str) -> str:
    return str(httpx.QueryParams({"q": text}))[2:]
