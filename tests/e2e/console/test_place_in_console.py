"""Placing an order in the console of order_api."""

from uuid import uuid4

from playwright.async_api import expect

from tests.e2e.conftest import Api
from tests.e2e.console.conftest import OpenConsole
from tests.e2e.console.steps import copied, in_a_shell, place_by_hand, status


async def test_an_order_is_placed_with_a_card_of_choice_and_the_request_is_shown_as_it_was_sent(
    open_console: OpenConsole, url: str, api: Api
) -> None:
    console = await open_console(url)
    number = await place_by_hand(console, card="pm_card_declined")
    dialog = console.page.get_by_role("dialog", name="The order is placed")
    shown = await dialog.locator("pre").first.inner_text()
    assert (
        f'{{"orderNumber": "{number}", "amount": 12.50, "currency": "USD", "paymentMethod": "pm_card_declined"}}'
        in shown
    )
    await dialog.get_by_role("link", name="See the order").click()
    await expect(console.page.get_by_role("heading", name=number)).to_be_visible()
    order = (await api.call("GET", f"/api/orders?orderNumber={number}"))[2]["data"][0]
    assert console.page.url.endswith(f"#/orders/{order['id']}")
    await expect(status(console)).to_have_text("Failed")


async def test_the_request_copied_as_curl_gets_the_same_answer_in_a_shell(open_console: OpenConsole, url: str) -> None:
    console = await open_console(url)
    await place_by_hand(console, f"O'Brien {uuid4().hex[:8]}")
    dialog = console.page.get_by_role("dialog", name="The order is placed")
    await dialog.get_by_role("button", name="Copy").first.click()
    answer = await in_a_shell(await copied(console))
    assert "HTTP/1.1 201 Created" in answer
    assert "idempotent-replayed: true" in answer


async def test_sent_again_the_same_key_gets_the_same_answer_and_another_body_is_refused(
    open_console: OpenConsole, url: str, api: Api
) -> None:
    console = await open_console(url)
    number = await place_by_hand(console)
    await console.button("Send it again").click()
    exchange = console.page.locator(".exchange").first
    await expect(exchange).to_contain_text("Idempotent-Replayed: true")
    await expect(exchange.locator(".badge")).to_have_text("201")
    await console.button("Other body").click()
    await expect(exchange.locator(".badge")).to_have_text("422")
    await expect(exchange).to_contain_text("Idempotency-Key was used for another request")
    assert len((await api.call("GET", f"/api/orders?orderNumber={number}"))[2]["data"]) == 1


async def test_a_refused_order_says_which_field_is_wrong_and_nothing_that_was_typed_is_lost(
    open_console: OpenConsole, url: str
) -> None:
    console = await open_console(url)
    await place_by_hand(console, "ORD-refused", amount="12.345")
    dialog = console.page.get_by_role("dialog", name="Place an order")
    await expect(dialog.get_by_role("alert")).to_contain_text("USD has 2 decimal places")
    await expect(dialog.get_by_label("Order number")).to_have_value("ORD-refused")


async def test_the_request_with_its_key_is_shown_by_the_tab_that_sent_it(open_console: OpenConsole, url: str) -> None:
    console = await open_console(url)
    await place_by_hand(console)
    shown = await console.page.get_by_role("dialog").locator("pre").first.inner_text()
    await console.page.get_by_role("link", name="See the order").click()
    request = console.page.locator(".moments > li").filter(has_text="The order is placed")
    await request.locator("summary").click()
    assert await request.locator("pre").first.inner_text() == shown
