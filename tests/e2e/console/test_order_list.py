"""The list of the order console, and its search."""

import asyncio
from uuid import uuid4

import pytest
from playwright.async_api import expect

from tests.e2e.conftest import Api
from tests.e2e.console.conftest import OpenConsole
from tests.e2e.console.steps import failed, paid, placed, row
from tests.waiting import until


async def test_the_list_shows_a_new_order_and_that_it_is_paid_without_a_reload(
    open_console: OpenConsole, url: str, api: Api
) -> None:
    await placed(api)
    console = await open_console(url, "#/orders")
    order = await placed(api)
    await expect(row(console, order).locator(".badge")).to_have_text("Paid")
    await expect(row(console, order)).to_contain_text("99.99 USD")


async def test_while_paused_new_orders_are_counted_and_shown_only_when_asked_for(
    open_console: OpenConsole, url: str, api: Api
) -> None:
    await placed(api)
    console = await open_console(url, "#/orders")
    await console.button("Live").click()
    order = await placed(api)
    await expect(console.button("1 new")).to_be_visible()
    await expect(row(console, order)).to_have_count(0)
    await console.button("1 new").click()
    await expect(row(console, order)).to_be_visible()
    await expect(console.button("Live")).to_be_visible()


async def test_older_orders_come_a_page_at_a_time(open_console: OpenConsole, url: str, api: Api) -> None:
    first = await placed(api)
    for _ in range(6):
        await asyncio.gather(*(placed(api) for _ in range(10)))
    console = await open_console(url, "#/orders")
    rows = console.page.locator(".rows > li")
    await expect(rows).to_have_count(50)
    while not await row(console, first).count():
        before = await rows.count()
        await console.button("Show older orders").click()
        await expect(rows.nth(before)).to_be_visible()


async def test_below_the_top_the_list_does_not_move_and_says_how_many_are_new(
    open_console: OpenConsole, url: str, api: Api
) -> None:
    await asyncio.gather(*(placed(api) for _ in range(30)))
    console = await open_console(url, "#/orders")
    await console.page.mouse.wheel(0, 600)

    async def has_scrolled() -> bool:
        return bool(await console.page.evaluate("scrollY > 200"))

    await until(has_scrolled, "it has scrolled")
    order = await placed(api)
    await expect(console.button("1 new")).to_be_attached()
    await expect(row(console, order)).to_have_count(0)
    await console.button("1 new").click()
    await expect(row(console, order)).to_be_in_viewport()


async def test_a_filter_is_a_link(open_console: OpenConsole, url: str, api: Api) -> None:
    declined = await failed(api)
    good = await paid(api)
    console = await open_console(url, "#/orders?q=status:FAILED")
    await expect(row(console, declined)).to_be_visible()
    await expect(row(console, good)).to_have_count(0)
    await expect(console.page.get_by_role("searchbox")).to_have_value("status:FAILED")
    await console.page.get_by_role("navigation", name="Filters").get_by_role("link", name="Paid", exact=True).click()
    await expect(row(console, good)).to_be_visible()
    assert console.page.url.endswith("#/orders?q=status:paid")
    await console.page.go_back()
    await expect(row(console, declined)).to_be_visible()


@pytest.mark.parametrize(
    ("search", "hint"),
    [
        ("colour:red", "“colour:” is no filter"),
        ("status:lost", "“lost” is no status"),
        ("from:yesterday", "Write from: with a day or a time"),
        ("review:", "Write review:open"),
    ],
)
async def test_a_search_that_is_not_understood_says_why_and_shows_nothing(
    open_console: OpenConsole, url: str, api: Api, search: str, hint: str
) -> None:
    await placed(api)
    console = await open_console(url, "#/orders")
    await console.page.get_by_role("searchbox").fill(search)
    await console.page.keyboard.press("Enter")
    await expect(console.page.locator("main .banner")).to_contain_text(hint)
    await expect(console.page.locator(".rows > li")).to_have_count(0)


async def test_a_day_in_the_search_is_a_day_here_and_the_last_one_counts(
    open_console: OpenConsole, url: str, api: Api
) -> None:
    order = await placed(api)
    console = await open_console(url, "#/orders")
    today = await console.asks("new Date().toLocaleDateString('sv')")
    await console.go(f"#/orders?q=from:{today} to:{today}")
    await expect(row(console, order)).to_be_visible()
    await console.go("#/orders?q=to:2020-01-01")
    await expect(console.page.locator("main")).to_contain_text("No order is like that")


async def test_an_order_number_or_an_id_in_the_search_box_leads_to_the_order(
    open_console: OpenConsole, url: str, api: Api
) -> None:
    order = await placed(api, orderNumber=f"two words: {uuid4().hex[:8]}")
    console = await open_console(url, "#/orders")
    for text in (order["id"], '"{}"'.format(order["orderNumber"])):
        await console.page.get_by_role("searchbox").fill(text)
        await console.page.keyboard.press("Enter")
        await expect(console.page.get_by_role("heading", name=order["orderNumber"])).to_be_visible()
        await console.go("#/orders")
