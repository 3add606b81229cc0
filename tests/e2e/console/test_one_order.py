"""One order in the console: its timeline, and all that can be done with it."""

from typing import Any

import pytest
from playwright.async_api import expect

from shared.mongo import Database
from tests.e2e.conftest import Api, ends, send_event_with_another_amount
from tests.e2e.console.conftest import OpenConsole
from tests.e2e.console.steps import copied, failed, in_a_shell, paid, placed, row, status
from tests.waiting import until
from tools.stack import Stack


@pytest.fixture(scope="module")
def settings() -> dict[str, Any]:
    """Every event comes as a webhook, and not before the answer to its charge is recorded."""
    return {"RECONCILE_AFTER_SECONDS": "3600", "CHARGE_DELAY_SECONDS": "1"}


async def test_the_timeline_goes_from_the_request_to_paid_and_each_moment_unfolds(
    open_console: OpenConsole, url: str, api: Api
) -> None:
    order = await paid(api, paymentMethod="pm_500|pm_card_visa")
    console = await open_console(url, f"#/orders/{order['id']}")
    picture = console.page.get_by_role("img", name="Timeline of")
    await expect(picture.locator(".timeline-item.is-bar")).to_have_count(2)
    for text in ("POST /api/orders", "payment.succeeded", "HTTP 500", "Paid"):
        await expect(picture).to_contain_text(text)
    moments = console.page.locator(".moments > li")

    async def all_are_shown() -> bool:  # the order is Paid a moment before all that led to it is recorded
        _, _, timeline = await api.call("GET", f"/api/orders/{order['id']}/timeline")
        return await moments.count() == len(timeline["data"])

    await until(all_are_shown, "the page shows every moment")
    _, _, events = await api.call("GET", f"/api/orders/{order['id']}/events")
    event = moments.filter(has_text="payment.succeeded came as a webhook")
    await event.locator("summary").click()
    assert await event.locator("pre").first.inner_text() == events["data"][0]["raw"]
    await expect(event).to_contain_text("valid: only then is an event kept")


async def test_a_click_on_the_picture_opens_the_moment(open_console: OpenConsole, url: str, api: Api) -> None:
    order = await paid(api)
    console = await open_console(url, f"#/orders/{order['id']}")
    await console.page.locator(".timeline-item.is-bar").first.click()
    attempt = console.page.locator(".moments > li").filter(has_text="Asked for the charge:")
    await expect(attempt.locator("details")).to_have_attribute("open", "")
    await expect(attempt).to_contain_text("Idempotency-Key at the provider")


async def test_a_long_wait_is_shortened_and_the_picture_says_so(open_console: OpenConsole, url: str, api: Api) -> None:
    order = await placed(api, paymentMethod="pm_slow")
    console = await open_console(url, f"#/orders/{order['id']}")
    await expect(console.page.locator(".timeline-break").last).to_be_visible()
    await expect(console.page.locator("figcaption")).to_contain_text("shortened")
    await expect(console.page.locator(".timeline-now")).to_be_attached()
    await api.call("POST", f"/api/orders/{order['id']}/cancel")


async def test_an_order_links_to_its_charges_at_the_gateway(
    open_console: OpenConsole, url: str, api: Api, stack: Stack
) -> None:
    order = await placed(api)
    console = await open_console(url, f"#/orders/{order['id']}")
    gateway = console.page.get_by_role("link", name="At the gateway")
    await expect(gateway).to_have_attribute("href", f"{stack.gateways[0].url}/#/references/{order['id']}")


async def test_a_webhook_copied_as_curl_signs_itself_and_is_taken(
    open_console: OpenConsole, url: str, api: Api, stack: Stack
) -> None:
    order = await paid(api, metadata={"note": "it's “quoted” — 100%"})
    console = await open_console(url, f"#/orders/{order['id']}")
    event = console.page.locator(".moments > li").filter(has_text="came as a webhook")
    await event.locator("summary").click()
    await event.get_by_role("button", name="Copy as signed curl").click()
    command = await copied(console)
    assert stack.webhook_secret not in command
    assert stack.webhook_secret not in await console.page.content()
    answer = await in_a_shell(command, WEBHOOK_SECRET=stack.webhook_secret)
    assert '{"outcome":"duplicate"}' in answer


async def test_an_order_that_is_slow_is_cancelled(open_console: OpenConsole, url: str, api: Api) -> None:
    order = await placed(api, paymentMethod="pm_slow")
    console = await open_console(url, f"#/orders/{order['id']}")
    await console.button("Cancel").click()
    await console.button("Cancel the order").click()
    await expect(status(console)).to_have_text("Cancelled")
    await ends(api, order["id"], "Cancelled")


async def test_a_part_is_refunded_and_then_too_much_is_refused(open_console: OpenConsole, url: str, api: Api) -> None:
    order = await paid(api)
    console = await open_console(url, f"#/orders/{order['id']}")
    await console.button("Refund").click()
    dialog = console.page.get_by_role("dialog", name="Refund")
    await dialog.get_by_label("Amount in USD").fill("99.98")
    await dialog.get_by_role("button", name="Refund").click()
    await expect(status(console)).to_have_text("Partially refunded")
    await console.button("Refund").click()
    await expect(dialog.get_by_label("Amount in USD")).to_have_value("0.01")
    await dialog.get_by_label("Amount in USD").fill("0.02")
    await dialog.get_by_role("button", name="Refund").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("0.01 USD can still be refunded")


async def test_an_order_that_failed_is_paid_again_with_another_card(
    open_console: OpenConsole, url: str, api: Api
) -> None:
    order = await failed(api)
    console = await open_console(url, f"#/orders/{order['id']}")
    await console.button("Pay again").click()
    await console.page.get_by_role("dialog").get_by_role("button", name="Pay again").click()
    await expect(status(console)).to_have_text("Paid")
    await expect(console.page.get_by_role("img", name="Timeline of")).to_contain_text("POST …/payments")


async def test_a_review_is_resolved(open_console: OpenConsole, url: str, api: Api, stack: Stack) -> None:
    order = await paid(api)
    assert send_event_with_another_amount(stack, order["id"]) == {"outcome": "mismatch"}
    console = await open_console(url, "#/orders?q=review:open")
    await expect(row(console, order)).to_contain_text("Event mismatch")
    await row(console, order).locator("a").click()
    alert = console.page.locator(".order-alerts .banner")
    await expect(alert).to_contain_text("event-mismatch")
    await alert.get_by_role("button", name="Accept").click()
    await console.button("Accept it").click()
    await expect(alert).to_have_count(0)
    found = (await api.call("GET", f"/api/orders/{order['id']}"))[2]
    assert [review["decision"] for review in found["reviews"]] == ["accept"]


async def test_a_call_that_was_given_up_is_sent_again_from_the_order_and_from_the_outbox(
    open_console: OpenConsole, url: str, api: Api, orders_database: Database
) -> None:
    order = await placed(api, paymentMethod="pm_500")
    console = await open_console(url, f"#/orders/{order['id']}")
    await give_up(orders_database, order["id"])
    alert = console.page.locator(".order-alerts .banner")
    await console.page.keyboard.press("r")
    await expect(alert).to_contain_text("was given up")
    await alert.get_by_role("button", name="Send it again").click()
    await expect(alert).to_have_count(0)
    await give_up(orders_database, order["id"])
    await console.go("#/outbox?state=dead")
    message = console.page.locator(f".rows > li[data-key='obx_{order['id'].removeprefix('ord_')}']")
    await message.get_by_role("button", name="Send it again").click()
    await expect(message).to_have_count(0)
    await api.call("POST", f"/api/orders/{order['id']}/cancel")


async def test_an_order_that_is_not_there_says_so(open_console: OpenConsole, url: str) -> None:
    console = await open_console(url, "#/orders/ord_00000000000000000000000000000000")
    await expect(console.page.locator("main")).to_contain_text("There is no such order")


async def give_up(orders: Database, order_id: str) -> None:
    """As if its call had been tried for hours."""
    resting = {"_id": order_id, "calls": {"$elemMatch": {"state": "open", "claim": None, "attempts": {"$gt": 0}}}}
    dead = {"calls.0.state": "dead", "calls.0.due_at": None, "due_at": None}

    async def is_given_up() -> bool:
        found = await orders["orders"].update_one(resting, {"$set": dead, "$inc": {"version": 1}})
        return bool(found.modified_count)

    await until(is_given_up, "the call rests between two attempts")
