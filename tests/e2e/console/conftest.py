"""The consoles in a real browser, which must have nothing to complain about and ask no other host."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from playwright.async_api import Browser, BrowserContext, Locator, Page, expect
from playwright.async_api import TimeoutError as PlaywrightTimeoutError

from shared.mongo import Client as MongoClient
from shared.mongo import Database
from tests.e2e.conftest import Api, running_stack
from tests.waiting import DEADLINE_SECONDS
from tools.stack import Stack

WIDTHS = (360, 1440)
expect.set_options(timeout=DEADLINE_SECONDS * 1000)
# The browser itself writes a line for an answer that is not 2xx, and for a connection that ends: neither is of the page.
_OF_THE_NETWORK = re.compile(r"Failed to load resource: |.*net::ERR_")
# Chromium ends requests in hand when an interface comes or goes, as those of containers do, on whatever network.
_NETWORK_CHANGED = "ERR_NETWORK_CHANGED"
# What is wider than its column and not cut off, but for what scrolls by itself.
_OVERFLOWING = """() => {
  const width = document.documentElement.clientWidth;
  const scrolls = (element) => element.closest("pre, .offscreen, .visually-hidden, .skip, .timeline");
  const out = [...document.querySelectorAll("body *")].filter((element) => element.checkVisibility() && !scrolls(element)
    && element.getBoundingClientRect().right > width + 1);
  if (document.documentElement.scrollWidth > width) out.push(document.documentElement);
  return out.map((element) => `${element.tagName}.${element.className} ${element.textContent.slice(0, 40)}`);
}"""


class Console:
    """A page, what it asked for, and what the browser did not like."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.failed: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("requestfailed", lambda request: self.failed.append(f"{request.url} {request.failure}"))
        page.on("console", lambda message: self._hear(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(f"a dialog: {dialog.message}"))

    async def go(self, fragment: str) -> None:
        """To a view, as by a link, once it has read something."""
        self.failed.clear()
        await self.page.goto(f"{self.url}/{fragment}")
        if any(_NETWORK_CHANGED in why for why in self.failed):
            await self.page.reload()
        try:
            await self.page.locator("main h1").wait_for()
        except PlaywrightTimeoutError as error:
            raise AssertionError(f"nothing is shown: {self.complaints} {self.failed}") from error
        await self.page.locator("main .loading").first.wait_for(state="detached")

    async def asks(self, question: str) -> Any:
        return await self.page.evaluate(question)

    async def overflowing(self) -> list[str]:
        """What does not fit, at the width that the page has."""
        return list(await self.asks(_OVERFLOWING))

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def elsewhere(self) -> list[str]:
        return [url for url in self.requests if not url.startswith((f"{self.url}/", "data:"))]

    def _hear(self, text: str) -> None:
        if not _OF_THE_NETWORK.match(text):
            self.complaints.append(text)


OpenConsole = Callable[..., Awaitable[Console]]


@pytest.fixture
async def open_console(browser: Browser) -> AsyncIterator[OpenConsole]:
    """`await open_console(service.url, "#/orders", width=360)`. In every test the page asks no other host, and the browser
    has nothing to complain about.
    """
    opened: list[tuple[BrowserContext, Console]] = []

    async def open_(url: str, fragment: str = "#/", *, width: int = 1440, scheme: Any = "light") -> Console:
        context = await browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            permissions=["clipboard-read", "clipboard-write"],
        )
        context.set_default_timeout(DEADLINE_SECONDS * 1000)
        console = Console(await context.new_page(), url)
        opened.append((context, console))
        await console.go(fragment)
        return console

    yield open_
    for context, console in opened:
        await context.close()
        assert (console.elsewhere(), console.complaints) == ([], [])


@pytest.fixture(scope="module")
def settings() -> dict[str, Any]:
    """Those that a module has for its own stack."""
    return {}


@pytest.fixture(scope="module")
async def stack(
    mongo: MongoClient, mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory, settings: dict[str, Any]
) -> AsyncIterator[Stack]:
    """Both services, for all tests of a module, without API keys of order_api."""
    name = f"test_{uuid4().hex[:16]}"
    with running_stack(mongodb_uri, name, tmp_path_factory.mktemp("logs"), **settings) as running:
        yield running
    for database in (name, f"{name}_gateway"):
        await mongo.drop_database(database)


@pytest.fixture
def api(http: aiohttp.ClientSession, stack: Stack) -> Api:
    return Api(http, stack.order_apis[0].url)


@pytest.fixture
def url(stack: Stack) -> str:
    return stack.order_apis[0].url


@pytest.fixture
def orders_database(mongo: MongoClient, stack: Stack) -> Database:
    return mongo[stack.order_apis[0].environment["ORDER_API_DATABASE"]]
