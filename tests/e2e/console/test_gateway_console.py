"""The gateway's console in a real browser: what it shows by itself, and what can be done with it."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import aiohttp
import pytest
import standardwebhooks
from playwright.async_api import Locator, expect

from tests.e2e.conftest import Api, StartStack
from tests.e2e.console.conftest import WIDTHS, Console, OpenConsole
from tests.e2e.console.steps import copied, in_a_shell, paid
from tests.e2e.console.test_accessibility import violations
from tests.http_double import HttpDouble, always, http_double
from tests.waiting import until
from tools.process import free_port
from tools.stack import Stack

VIEWS = ("requests", "deliveries", "charges", "endpoints", "signature", "chaos", "clock")
HOSTILE = {
    "a tag": "<img/src=x/onerror=alert(1)>",
    "right to left": "\u0645\u0631\u062d\u0628\u0627-\u0628\u0627\u0644\u0639\u0627\u0644\u0645",
    "a very long word": "W" * 255,
    "a template": "${alert(1)}{{7*7}}</script>",
    "an address": "../../#/clock?x=%2e%2f",
}

Call = Callable[..., Awaitable[Any]]
Open = Callable[..., Awaitable[Console]]


@pytest.fixture
def call(http: aiohttp.ClientSession, stack: Stack) -> Call:
    """`await call("POST", "/v1/…", {…})` asks the gateway, and returns what it answers."""
    gateway = Api(http, stack.gateways[0].url)

    async def asked(method: str, path: str, body: Any = None, **headers: str) -> Any:
        given = {"Authorization": f"Bearer {stack.api_key}", "Idempotency-Key": uuid4().hex, **headers}
        options = {} if body is None else {"json": body}
        status, _, answer = await gateway.call(method, path, headers=given, **options)
        assert status < 400, answer
        return answer

    return asked


@pytest.fixture
def look(open_console: OpenConsole, stack: Stack) -> Open:
    """`await look("deliveries", width=360)` opens a view as its merchant."""

    async def opened(view: str, **how: Any) -> Console:
        return await open_console(stack.gateways[0].url, f"#key={quote(stack.api_key)}&/{view}", **how)

    return opened


@pytest.fixture
async def receiver(call: Call) -> AsyncIterator[HttpDouble]:
    """A service that is told everything, beside order_api."""
    async with http_double() as double:
        endpoint = await call("POST", "/v1/webhook-endpoints", {"url": f"{double.url}/hooks"})
        yield double
        await call("DELETE", f"/v1/webhook-endpoints/{endpoint['id']}")


@pytest.fixture
async def calm(call: Call) -> AsyncIterator[None]:
    """No faults and real time afterwards."""
    yield
    await call("POST", "/v1/test/reset", {})


async def charge(call: Call, **changes: Any) -> str:
    """The reference."""
    reference = f"basket-{uuid4().hex[:8]}"
    body = {"amount": 2500, "currency": "EUR", "reference": reference, **changes}
    return str((await call("POST", "/v1/charges", body))["reference"])


def rows(console: Console, text: str) -> Locator:
    return console.page.locator(".rows > li", has_text=text)


def pane(console: Console) -> Locator:
    return console.page.locator(".pane")


async def test_a_request_appears_as_it_is_made_with_its_answer_beside_it(look: Open, call: Call, stack: Stack) -> None:
    console = await look("requests")
    reference = await charge(call)
    await expect(rows(console, "/v1/charges").first).to_contain_text("201")
    await rows(console, "/v1/charges").first.locator("a").click()
    await expect(pane(console).get_by_role("heading", name="Request", exact=True)).to_be_visible()
    await expect(pane(console).get_by_role("heading", name="Answer 201")).to_be_visible()
    await expect(pane(console).locator("pre", has_text=reference)).to_have_count(2)
    assert stack.api_key not in await console.page.content()


async def test_a_reply_that_was_lost_is_marked_and_so_is_its_repetition(
    look: Open, call: Call, http: aiohttp.ClientSession, stack: Stack
) -> None:
    console = await look("requests")
    body = {"amount": 100, "currency": "EUR", "reference": "lost-1", "paymentMethod": "pm_lost|pm_card_visa"}
    with pytest.raises(aiohttp.ClientError):
        await call("POST", "/v1/charges", body, **{"Idempotency-Key": "lost-1"})
    await call("POST", "/v1/charges", body, **{"Idempotency-Key": "lost-1"})
    await expect(rows(console, "replayed")).to_contain_text("201")
    await console.page.get_by_role("link", name="With a fault").click()
    await expect(rows(console, "lost").first).to_contain_text("no answer")


async def test_a_delivery_appears_by_itself_and_shows_what_was_sent_and_what_came_back(
    look: Open, call: Call, receiver: HttpDouble
) -> None:
    receiver.answer = always(200, '{"thanks": true}', X_Served_By="shop-7")
    console = await look("deliveries")
    reference = await charge(call)
    mine = rows(console, reference).filter(has_text=receiver.url.removeprefix("http://"))
    await expect(mine).to_contain_text("delivered")
    await mine.locator("a").click()
    attempt = pane(console).locator(".attempt")
    await expect(attempt.locator("pre", has_text=reference)).to_be_visible()
    await expect(attempt.locator("pre", has_text="thanks")).to_be_visible()
    await expect(attempt).to_contain_text(f"POST {receiver.url}/hooks")
    for headers in await attempt.locator("details summary").all():
        await headers.click()
    await expect(attempt.locator("pre", has_text="X-Signature: t=")).to_be_visible()
    await expect(attempt.locator("pre", has_text="x-served-by: shop-7")).to_be_visible()


async def test_a_delivery_that_fails_says_so_and_when_it_is_tried_again_until_it_is_taken(
    look: Open, call: Call, receiver: HttpDouble
) -> None:
    receiver.answer = always(503, "busy", Retry_After="3")
    console = await look("deliveries?state=failing")
    reference = await charge(call)
    await expect(rows(console, reference)).to_contain_text("failing")
    await expect(rows(console, reference)).to_contain_text("due")
    await rows(console, reference).locator("a").click()
    await expect(pane(console)).to_contain_text("The next attempt is due")
    receiver.answer = always(200)
    await expect(rows(console, reference)).to_have_count(0)
    await expect(pane(console).locator(".card-head .badge").first).to_have_text("delivered")


async def test_one_reference_is_one_timeline_from_the_request_to_each_attempt(
    look: Open, stack: Stack, http: aiohttp.ClientSession
) -> None:
    orders = stack.order_apis[0].url
    order = await paid(Api(http, orders))
    console = await look(f"references/{order['id']}")
    kinds = console.page.locator(".moment-kind")
    await expect(kinds).to_have_text(["Request", "Charge", "Charge", "Event", "Attempt"])
    picture = console.page.get_by_role("img", name=f"under the reference {order['id']}")
    await expect(picture).to_contain_text("Your requests")
    assert f"{orders}/#/orders/{order['id']}" == await console.page.get_by_role("link", name="The order").get_attribute(
        "href"
    )
    await picture.locator("[data-item^='evt_']").first.click()
    await expect(console.page.locator(".moment[open] pre")).to_contain_text("payment.succeeded")


async def test_refunds_and_disputes_join_the_timeline_as_they_happen(look: Open, call: Call) -> None:
    reference = await charge(call)
    console = await look(f"references/{reference}")
    await console.button("Refund…").click()
    await console.page.get_by_label("Amount in EUR").fill("10")
    await console.button("Refund").click()
    refunds = console.page.locator(".moment", has=console.page.locator(".moment-kind", has_text="Refund"))
    await expect(refunds.last).to_contain_text("succeeded")
    await expect(console.page.locator(".charge-card")).to_contain_text("10.00 EUR")
    disputed = await charge(call)
    await console.go(f"#/references/{disputed}")
    await console.button("Dispute it").click()
    await console.button("Dispute lost").click()
    await expect(console.page.locator(".moment", has_text="dispute.closed").first).to_be_visible()


async def test_an_event_is_resent_and_a_forgery_of_it_refused(
    look: Open, stack: Stack, http: aiohttp.ClientSession
) -> None:
    """order_api is right: it refuses the forgery, and takes the true event after it."""
    order = await paid(Api(http, stack.order_apis[0].url))
    console = await look("deliveries")
    await rows(console, order["id"]).first.locator("a").click()
    await console.button("Resend").click()
    await expect(rows(console, order["id"])).to_have_count(2)
    await console.button("Resend forged as…").click()
    await console.button("Tampered body").click()
    await expect(rows(console, order["id"])).to_have_count(3)
    await rows(console, order["id"]).first.locator("a").click()
    await expect(pane(console).locator(".attempt > summary")).to_contain_text(["forgery refused", "200"])


async def test_an_endpoint_shows_how_it_is_and_can_be_disabled_and_enabled(
    look: Open, call: Call, receiver: HttpDouble
) -> None:
    receiver.answer = always(500, "out of order")
    console = await look("endpoints")
    card = console.page.locator(".endpoint", has_text=receiver.url)
    await charge(call)
    await expect(card.locator(".failure")).to_contain_text("500")
    await expect(card.locator(".failure")).to_contain_text("out of order")
    await card.get_by_role("button", name="Disable").click()
    await expect(card.locator(".card-head .badge")).to_have_text("disabled: by you")
    await card.get_by_role("button", name="Enable").click()
    await expect(card.get_by_role("button", name="Disable")).to_be_visible()
    receiver.answer = always(200)
    await card.get_by_role("button", name="Resend since…").click()
    await console.button("Resend").click()
    await expect(card.locator(".card-head .badge")).to_have_text("works")


async def test_a_rotated_secret_is_shown_once_and_signs(look: Open, call: Call, receiver: HttpDouble) -> None:
    console = await look("endpoints")
    card = console.page.locator(".endpoint", has_text=receiver.url)
    await card.get_by_role("button", name="Rotate the secret…").click()
    await console.button("Rotate").click()
    secret = await console.page.locator("dialog pre").inner_text()
    assert secret.startswith("whsec_")
    await console.button("Done").click()
    await expect(console.page.locator("dialog")).to_have_count(0)
    assert secret not in await console.page.content()
    await charge(call)

    async def is_told() -> bool:
        return bool(receiver.asked)

    await until(is_told, "the webhook")
    sent = receiver.asked[-1]
    standardwebhooks.Webhook(secret).verify(sent.body, dict(sent.headers))
    await console.go("#/requests")
    await rows(console, "rotate-secret").first.locator("a").click()
    await expect(pane(console).locator("pre").first).to_be_visible()
    assert secret not in await console.page.content()


async def test_an_endpoint_is_added_by_its_address_and_a_refusal_says_why(look: Open, call: Call) -> None:
    console = await look("endpoints")
    await console.button("Add an endpoint").click()
    await console.page.get_by_label("Address").fill("http://169.254.169.254/")
    await console.button("Add").click()
    await expect(console.page.locator("dialog .banner")).to_contain_text("Some fields are not acceptable")
    url = f"http://127.0.0.1:{free_port()}/hooks"
    await console.page.get_by_label("Address").fill(url)
    await console.page.get_by_label("Deliveries at once").fill("2")
    await console.button("Add").click()
    await expect(console.page.locator("dialog pre")).to_contain_text("whsec_")
    await console.button("Done").click()
    await expect(console.page.locator(".endpoint", has_text=url)).to_contain_text("2 at most")
    await console.page.locator(".endpoint", has_text=url).get_by_role("button", name="Remove").click()
    await console.button("Remove it").click()
    await expect(console.page.locator(".endpoint", has_text=url)).to_have_count(0)


async def test_the_signature_helper_says_what_is_wrong_and_what_is_right(
    look: Open, stack: Stack, http: aiohttp.ClientSession
) -> None:
    await paid(Api(http, stack.order_apis[0].url))
    console = await look("signature")
    await console.button("Take the last webhook").click()
    await expect(console.page.get_by_label("Body")).not_to_have_value("")
    await console.page.get_by_label("Secret").fill(stack.webhook_secret)
    await console.button("Check it").click()
    verdicts = console.page.get_by_role("status").locator(".card-head")
    await expect(verdicts).to_contain_text(["X-Signature", "Standard Webhooks"])
    await expect(verdicts.locator(".badge")).to_have_text(["right", "right"])
    body = console.page.get_by_label("Body")
    await body.fill(json.dumps(json.loads(await body.input_value()), indent=2))
    await console.button("Check it").click()
    await expect(console.page.locator(".mistake .badge").first).to_have_text("The bytes")
    await expect(console.page.locator(".mistake").first).to_contain_text("parsed and printed again")


async def test_a_slider_makes_things_go_wrong_and_a_banner_on_every_view_ends_it(
    look: Open, call: Call, calm: None
) -> None:
    console = await look("chaos")
    slider = console.page.get_by_role("slider", name="Declined")
    await slider.focus()
    await slider.press("End")
    banner = console.page.locator(".banners")
    await expect(banner).to_contain_text("Declined 100 %")
    assert (await call("GET", "/v1/test/faults"))["rates"] == {"declined": 1}
    reference = await charge(call)
    for view in VIEWS:
        await console.go(f"#/{view}")
        await expect(banner).to_contain_text("Chaos is on")
    await console.go("#/charges")
    await expect(rows(console, reference)).to_contain_text("card_declined")
    await banner.get_by_role("button", name="All off").click()
    await expect(banner).not_to_contain_text("Chaos is on")
    assert (await call("GET", "/v1/test/faults"))["rates"] == {}


async def test_faults_that_somebody_else_switches_on_are_seen(look: Open, call: Call, calm: None) -> None:
    console = await look("deliveries")
    await call("PUT", "/v1/test/faults", {"seed": 42, "rates": {"reply_lost": 0.25}})
    await expect(console.page.locator(".banners")).to_contain_text("Reply lost 25 %; seed 42")
    await console.go("#/chaos")
    await expect(console.page.locator("[data-fault='reply_lost'] output")).to_have_text("25 %")


async def test_the_clock_moves_ahead_stands_still_and_says_what_is_due_next(look: Open, call: Call, calm: None) -> None:
    console = await look("clock")
    await expect(console.page.locator(".card-head .badge").first).to_have_text("real time")
    await console.button("Freeze").click()
    await expect(console.page.locator(".banners")).to_contain_text("The clock is frozen at")
    await charge(call, paymentMethod="pm_slow")
    await expect(console.page.locator(".due li")).to_contain_text(["A charge, refund or dispute settles"])
    before = (await call("GET", "/v1/test/clock"))["aheadSeconds"]
    await console.button("+72 h").click()
    await expect(console.page.locator(".due")).to_contain_text("Nothing is due")
    await console.button("Resume").first.click()
    await expect(console.page.locator(".banners")).to_contain_text("ahead of real time")
    assert (await call("GET", "/v1/test/clock"))["aheadSeconds"] - before > 71 * 3600
    await console.go("#/charges")
    await expect(console.page.locator(".rows > li").first).not_to_contain_text("in 2 d")


async def test_a_reset_is_asked_for_twice_and_leaves_a_command_to_paste(
    look: Open, call: Call, stack: Stack, calm: None
) -> None:
    reference = await charge(call)
    console = await look("clock")
    await console.button("Reset everything…").click()
    await console.button("Leave it").click()
    assert len((await call("GET", f"/v1/charges?reference={reference}"))["data"]) == 1
    await console.button("Reset everything…").click()
    await console.button("Reset everything").click()
    await expect(console.page.locator(".toast")).to_contain_text("Everything is new")
    await console.go("#/charges")
    await console.button("Copy").click()
    answer = await in_a_shell(await copied(console), API_KEY=stack.api_key)
    assert "201 Created" in answer
    await expect(console.page.locator(".rows > li")).to_have_count(1)


async def test_the_search_box_leads_from_an_id_to_its_reference(look: Open, call: Call) -> None:
    reference = await charge(call)
    [made] = (await call("GET", f"/v1/charges?reference={reference}"))["data"]
    console = await look("charges")
    for text in (made["id"], reference):
        await console.page.keyboard.press("/")
        await console.page.keyboard.type(text)
        await console.page.keyboard.press("Enter")
        await expect(console.page.get_by_role("heading", level=1)).to_have_text(reference)
        await console.go("#/charges")
    await console.page.get_by_role("searchbox").fill(f"status:failed {reference}")
    await console.page.keyboard.press("Enter")
    await expect(console.page.locator(".empty")).to_contain_text("No charge matches")


async def test_rows_are_walked_through_opened_and_left_with_keys(look: Open, call: Call) -> None:
    for _ in range(2):
        await charge(call)
    console = await look("requests?only=write")
    await expect(rows(console, "/v1/charges").nth(1)).to_be_visible()
    await console.page.keyboard.press("j")
    await console.page.keyboard.press("j")
    await console.page.keyboard.press("k")
    await console.page.keyboard.press("Enter")
    await expect(pane(console)).to_be_visible()
    await console.page.keyboard.press("Escape")
    await console.page.keyboard.press("Escape")
    await expect(pane(console)).to_be_hidden()
    await console.page.keyboard.press("?")
    await expect(console.page.get_by_role("dialog", name="Keyboard")).to_be_visible()


async def test_a_charge_is_made_by_hand_and_its_story_opens(look: Open) -> None:
    console = await look("charges")
    await console.button("New charge").first.click()
    reference = f"by-hand-{uuid4().hex[:6]}"
    dialog = console.page.get_by_role("dialog", name="New charge")
    await dialog.get_by_label("Reference").fill(reference)
    await dialog.get_by_label("Amount").fill("12.34")
    await console.button("Charge").click()
    await expect(console.page.get_by_role("heading", level=1)).to_have_text(reference)
    await expect(console.page.locator(".charge-card")).to_contain_text("12.34 EUR")
    await expect(console.page.locator(".charge-card")).to_contain_text("succeeded")


async def unfold_moments(console: Console) -> None:
    """All at once: a moment that comes meanwhile may take the place of two."""
    await console.page.locator(".moment > summary").evaluate_all("all => all.forEach(one => one.click())")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_text_stays_text_and_fits(look: Open, call: Call, width: int, name: str) -> None:
    text = HOSTILE[name]
    await charge(call, reference=text, metadata={"a key": text})
    endpoint = await call("POST", "/v1/webhook-endpoints", {"url": f"http://127.0.0.1:1/{quote(text)}"})
    await call("PATCH", f"/v1/webhook-endpoints/{endpoint['id']}", {"state": "disabled"})
    console = await look("charges", width=width)
    await rows(console, text).first.locator("a").click()
    await expect(console.page.get_by_role("heading", level=1)).to_have_text(text)
    await expect(console.page.locator(".moment-kind", has_text="Event").first).to_be_visible()
    await unfold_moments(console)
    found = {"reference": await console.overflowing()}
    for view in ("requests?only=write", "deliveries", "endpoints"):
        await console.go(f"#/{view}")
        if view != "endpoints":
            await console.page.locator(".rows > li a").first.click()
        found[view] = await console.overflowing()
    await call("DELETE", f"/v1/webhook-endpoints/{endpoint['id']}")
    assert found == {key: [] for key in found}


@pytest.mark.parametrize("width", WIDTHS)
async def test_no_view_is_wider_than_the_screen(
    look: Open, stack: Stack, http: aiohttp.ClientSession, call: Call, width: int, calm: None
) -> None:
    order = await paid(Api(http, stack.order_apis[0].url), paymentMethod="pm_500|pm_lost|pm_card_visa")
    await call("PUT", "/v1/test/faults", {"seed": 42, "rates": {"reply_lost": 0.01, "declined": 0.01}})
    console = await look(f"references/{order['id']}", width=width)
    found = {"reference": await console.overflowing()}
    for view in VIEWS:
        await console.go(f"#/{view}")
        found[view] = await console.overflowing()
    await console.go("#/deliveries")
    await console.page.locator(".rows > li a").first.click()
    await expect(pane(console).locator(".attempt pre").first).to_be_visible()
    found["delivery"] = await console.overflowing()
    assert found == {key: [] for key in found}


async def test_a_page_shows_what_it_missed_while_the_gateway_was_away(look: Open, call: Call, stack: Stack) -> None:
    console = await look("charges")
    [gateway] = stack.gateways
    gateway.stop()
    await expect(console.page.locator("button.live")).to_have_text("Reconnecting")
    gateway.start()
    reference = await charge(call)
    await expect(rows(console, reference)).to_be_visible()
    await expect(console.page.locator("button.live")).to_have_text("Live")


async def test_where_test_endpoints_are_off_there_are_no_faults_no_clock_and_no_requests(
    open_console: OpenConsole, start_stack: StartStack
) -> None:
    with start_stack(PAYMENT_GATEWAY_TEST_ENDPOINTS="false") as stack:
        console = await open_console(stack.gateways[0].url, f"#key={quote(stack.api_key)}&/chaos")
        names = await console.page.locator("nav.views a").all_inner_texts()
        assert names == ["Deliveries", "Charges", "Endpoints"]
        assert [url for url in console.requests if "/v1/test/" in url] == []
        await expect(console.page.get_by_role("heading", level=1)).to_have_text("Deliveries")


async def test_what_is_unfolded_or_asked_for_can_be_used_by_everybody(
    look: Open, call: Call, calm: None, receiver: HttpDouble
) -> None:
    """`test_accessibility.py` looks at the views as they open."""
    receiver.answer = always(500)
    await call("PUT", "/v1/test/faults", {"seed": 42, "rates": {"reply_slow": 0.01}})
    reference = await charge(call)
    console = await look("deliveries?state=failing")
    await rows(console, reference).first.locator("a").click()
    await expect(pane(console).locator(".attempt pre").first).to_be_visible()
    found = {"a delivery": await violations(console)}
    await console.go(f"#/references/{reference}")
    await unfold_moments(console)
    found["moments"] = await violations(console)
    for view, name in (("charges", "New charge"), ("endpoints", "Add an endpoint"), ("clock", "Reset everything…")):
        await console.go(f"#/{view}")
        await console.button(name).first.click()
        found[name] = await violations(console)
        await console.page.keyboard.press("Escape")
    assert found == {key: [] for key in found}
