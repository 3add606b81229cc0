"""The console of order_api, as people use it."""

import asyncio
import json
import os
import time
from hashlib import sha256
from typing import Any
from uuid import uuid4

import aiohttp
import httpx
import pytest
from playwright.async_api import Locator, expect

from shared import wire
from shared.mongo import Database
from shared.signing import sign
from shared.times import utc_now
from tests.e2e.conftest import JSON, Api, StartStack, ends, order_body
from tests.e2e.console.conftest import WIDTHS, Console, OpenConsole
from tests.waiting import until
from tools.stack import Stack

HOSTILE = {
    "a tag": "<img src=x onerror=alert(1)>",
    "right to left": "مرحبا بالعالم هذا رقم الطلب",
    "a very long word": "W" * 64,
    "a template": "${alert(1)}{{7*7}}</script>",
}
VIEWS = ("#/orders", "#/glance", "#/outbox", "#/webhooks")


@pytest.fixture
def api(http: aiohttp.ClientSession, stack: Stack) -> Api:
    return Api(http, stack.order_apis[0].url)


@pytest.fixture
def url(stack: Stack) -> str:
    return stack.order_apis[0].url


async def placed(api: Api, **changes: Any) -> dict[str, Any]:
    status, _, order = await api.place(order_body(**changes))
    assert status == 201, order
    return dict(order)


async def paid(api: Api, **changes: Any) -> dict[str, Any]:
    return await ends(api, (await placed(api, **changes))["id"], "Paid")


def row(console: Console, order: dict[str, Any]) -> Locator:
    return console.page.locator(f".rows > li[data-key='{order['id']}']")


async def copied(console: Console) -> str:
    return str(await console.asks("navigator.clipboard.readText()"))


# Placing


async def fill_in(console: Console, number: str, card: str = "pm_card_visa", amount: str = "12.50") -> None:
    await console.button("Place an order").first.click()
    dialog = console.page.get_by_role("dialog", name="Place an order")
    await dialog.get_by_label("Order number").fill(number)
    await dialog.get_by_label("Amount").fill(amount)
    radio = dialog.locator(f"input[value='{card}']")
    if not await radio.is_visible():
        await dialog.locator("details", has=radio).locator("summary").click()
    await radio.check()
    await console.button("Place the order").click()


async def test_an_order_is_placed_with_a_card_of_choice_and_the_request_is_shown_as_it_was_sent(
    open_console: OpenConsole, url: str, api: Api
) -> None:
    console = await open_console(url)
    number = f"ORD-{uuid4().hex[:8]}"
    await fill_in(console, number, "pm_card_declined", "12.50")
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
    await expect(console.page.locator(".order-title .badge")).to_have_text("Failed")


async def test_the_request_copied_as_curl_gets_the_same_answer_in_a_shell(open_console: OpenConsole, url: str) -> None:
    console = await open_console(url)
    await fill_in(console, f"O'Brien {uuid4().hex[:8]}")
    dialog = console.page.get_by_role("dialog", name="The order is placed")
    await dialog.get_by_role("button", name="Copy").first.click()
    answer = await in_a_shell(await copied(console))
    assert "HTTP/1.1 201 Created" in answer
    assert "idempotent-replayed: true" in answer


async def test_sent_again_the_same_key_gets_the_same_answer_and_another_body_is_refused(
    open_console: OpenConsole, url: str, api: Api
) -> None:
    console = await open_console(url)
    number = f"ORD-{uuid4().hex[:8]}"
    await fill_in(console, number)
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
    await fill_in(console, "ORD-refused", amount="12.345")
    dialog = console.page.get_by_role("dialog", name="Place an order")
    await expect(dialog.get_by_role("alert")).to_contain_text("USD has 2 decimal places")
    await expect(dialog.get_by_label("Order number")).to_have_value("ORD-refused")


# The list


async def test_the_list_shows_a_new_order_and_that_it_is_paid_without_a_reload(
    open_console: OpenConsole, url: str, api: Api
) -> None:
    await placed(api)
    console = await open_console(url, "#/orders")
    order = await placed(api)
    await expect(row(console, order).locator(".badge")).to_have_text("Paid", timeout=15_000)
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
    await console.page.wait_for_function("scrollY > 200")
    order = await placed(api)
    await expect(console.button("1 new")).to_be_attached()
    await expect(row(console, order)).to_have_count(0)
    await console.button("1 new").click()
    await expect(row(console, order)).to_be_in_viewport()


async def test_a_filter_is_a_link(open_console: OpenConsole, url: str, api: Api) -> None:
    failed = await ends(api, (await placed(api, paymentMethod="pm_card_declined"))["id"], "Failed")
    good = await paid(api)
    console = await open_console(url, "#/orders?q=status:FAILED")
    await expect(row(console, failed)).to_be_visible()
    await expect(row(console, good)).to_have_count(0)
    await expect(console.page.get_by_role("searchbox")).to_have_value("status:FAILED")
    await console.page.get_by_role("navigation", name="Filters").get_by_role("link", name="Paid", exact=True).click()
    await expect(row(console, good)).to_be_visible()
    assert console.page.url.endswith("#/orders?q=status:paid")
    await console.page.go_back()
    await expect(row(console, failed)).to_be_visible()


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


# One order


async def test_the_timeline_goes_from_the_request_to_paid_and_each_moment_unfolds(
    open_console: OpenConsole, url: str, api: Api
) -> None:
    order = await paid(api, paymentMethod="pm_500|pm_card_visa")
    console = await open_console(url, f"#/orders/{order['id']}")
    picture = console.page.get_by_role("img", name="Timeline of")
    await expect(picture.locator(".timeline-item.bar")).to_have_count(2)
    for text in ("POST /api/orders", "payment.succeeded", "no usable answer", "Paid"):
        await expect(picture).to_contain_text(text)
    moments = console.page.locator(".moments > li")
    _, _, timeline = await api.call("GET", f"/api/orders/{order['id']}/timeline")
    await expect(moments).to_have_count(len(timeline["data"]))
    _, _, events = await api.call("GET", f"/api/orders/{order['id']}/events")
    event = moments.filter(has_text="payment.succeeded came as a webhook")
    await event.locator("summary").click()
    assert await event.locator("pre").first.inner_text() == events["data"][0]["raw"]
    await expect(event).to_contain_text("valid: only then is an event kept")


async def test_a_click_on_the_picture_opens_the_moment(open_console: OpenConsole, url: str, api: Api) -> None:
    order = await paid(api)
    console = await open_console(url, f"#/orders/{order['id']}")
    await console.page.locator(".timeline-item.bar").first.click()
    attempt = console.page.locator(".moments > li").filter(has_text="Asked for the charge")
    await expect(attempt.locator("details")).to_have_attribute("open", "")
    await expect(attempt).to_contain_text("Idempotency-Key at the provider")


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


async def test_the_request_with_its_key_is_shown_by_the_tab_that_sent_it(open_console: OpenConsole, url: str) -> None:
    console = await open_console(url)
    await fill_in(console, f"ORD-{uuid4().hex[:8]}")
    shown = await console.page.get_by_role("dialog").locator("pre").first.inner_text()
    await console.page.get_by_role("link", name="See the order").click()
    request = console.page.locator(".moments > li").filter(has_text="The order is placed")
    await request.locator("summary").click()
    assert await request.locator("pre").first.inner_text() == shown


async def test_an_order_that_is_slow_is_cancelled(open_console: OpenConsole, url: str, api: Api) -> None:
    order = await placed(api, paymentMethod="pm_slow")
    console = await open_console(url, f"#/orders/{order['id']}")
    await console.button("Cancel").click()
    await console.button("Cancel the order").click()
    await expect(console.page.locator(".order-title .badge")).to_have_text("Cancelled")
    await ends(api, order["id"], "Cancelled")


async def test_a_part_is_refunded_and_then_too_much_is_refused(open_console: OpenConsole, url: str, api: Api) -> None:
    order = await paid(api)
    console = await open_console(url, f"#/orders/{order['id']}")
    await console.button("Refund").click()
    dialog = console.page.get_by_role("dialog", name="Refund")
    await dialog.get_by_label("Amount in USD").fill("99.98")
    await dialog.get_by_role("button", name="Refund").click()
    await expect(console.page.locator(".order-title .badge")).to_have_text("Partially refunded", timeout=15_000)
    await console.button("Refund").click()
    await expect(dialog.get_by_label("Amount in USD")).to_have_value("0.01")
    await dialog.get_by_label("Amount in USD").fill("0.02")
    await dialog.get_by_role("button", name="Refund").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("0.01 USD can still be refunded")


async def test_an_order_that_failed_is_paid_again_with_another_card(
    open_console: OpenConsole, url: str, api: Api
) -> None:
    order = await ends(api, (await placed(api, paymentMethod="pm_card_declined"))["id"], "Failed")
    console = await open_console(url, f"#/orders/{order['id']}")
    await console.button("Pay again").click()
    await console.page.get_by_role("dialog").get_by_role("button", name="Pay again").click()
    await expect(console.page.locator(".order-title .badge")).to_have_text("Paid", timeout=15_000)
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


def send_event_with_another_amount(stack: Stack, order_id: str) -> Any:
    charge = wire.Charge(
        id="ch_other",
        amount=1,
        currency="USD",
        reference=order_id,
        status="succeeded",
        failure_code=None,
        amount_refunded=0,
        payment_method="pm_card_visa",
        metadata={},
        created_at=utc_now(),
        settled_at=utc_now(),
    )
    event = wire.encode(wire.Event(id=f"evt_{uuid4().hex}", type="payment.succeeded", timestamp=utc_now(), data=charge))
    signed = {"X-Signature": sign(event, [stack.webhook_secret], int(time.time())), **JSON}
    return httpx.post(f"{stack.order_apis[0].url}/api/webhooks/payments", content=event, headers=signed).json()


# The other views


async def test_the_figures_at_a_glance_are_those_of_the_metrics(open_console: OpenConsole, url: str, api: Api) -> None:
    await ends(api, (await placed(api, paymentMethod="pm_card_declined"))["id"], "Failed")
    await paid(api)
    console = await open_console(url, "#/glance")
    for name in ("Orders by status", "Time to Paid", "Calls of the provider", "For a person to look at"):
        await expect(console.page.get_by_role("heading", name=name)).to_be_visible()
    shown = console.page.locator(".tile", has_text="Breaker").locator(".tile-value")
    await expect(shown).to_have_text("Closed")
    failed = console.page.locator(".bar", has_text="Failed").locator(".bar-value")
    metrics = (await api.call("GET", "/metrics"))[2]
    values = {
        line.split(" ")[0]: float(line.split(" ")[1]) for line in metrics.splitlines() if not line.startswith("#")
    }
    name = 'order_api_orders{status="Failed"}'
    assert int(await failed.inner_text()) == values.get(name, values['order_api_orders_total{status="Failed"}'])


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


# For everybody, everywhere


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_text_stays_text_and_fits(
    open_console: OpenConsole, url: str, api: Api, width: int, name: str
) -> None:
    number = HOSTILE[name]
    await api.place(order_body(orderNumber=number, metadata={number[:40]: number * 3}))
    order = (await api.call("GET", f"/api/orders?orderNumber={_escaped(number)}"))[2]["data"][0]
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
        await expect(row(console, missed)).to_be_visible(timeout=20_000)
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
        await console.page.get_by_label("API key").fill(key)
        await console.page.keyboard.press("Enter")
        await expect(row(console, order)).to_be_visible()
        await expect(console.button("Live")).to_be_visible()


def _escaped(text: str) -> str:
    return str(httpx.QueryParams({"q": text}))[2:]


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
