"""services/payment_gateway/README.md: its recipes, pasted into a shell, show what they say; its snippets verify."""

import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pymongo
import pytest
from aiohttp import web
from standardwebhooks import Webhook

from payment_gateway.cli.options import DEFAULT_API_KEY
from shared.signing import DEVELOPMENT_SECRET
from tests.http_double import Answer, Asked, HttpDouble, always, http_double, ok
from tests.pages import SHELL_SECONDS, Terminal, blocks, open_terminal
from tests.waiting import until
from tools.process import free_port
from tools.stack import Service

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "services" / "payment_gateway" / "README.md").read_text(encoding="utf-8")

_RECIPE = re.compile(r"^### (\d+\. .+?)\n(.*?)(?=^##)", re.MULTILINE | re.DOTALL)

RECIPES = {title: blocks(text, "sh") for title, text in _RECIPE.findall(PAGE)}
[FIRST] = blocks(PAGE.partition("## Twelve ways")[2].partition("### 1.")[0], "sh")


@asynccontextmanager
async def terminal_for(gateway_url: str, service_url: str) -> AsyncIterator[Terminal]:
    """With the page's first lines pasted, in which only the addresses are others."""
    first = FIRST.replace("http://127.0.0.1:8001", gateway_url).replace("http://127.0.0.1:9000", service_url)
    first = first.replace("$PWD/.venv/bin", str(Path(sys.executable).parent))
    async with open_terminal(ROOT) as terminal:
        assert await terminal.paste(first) == "reset\n"
        yield terminal


@pytest.fixture(scope="module")
def gateway_url(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    database = f"test_{uuid4().hex[:16]}"
    port = free_port()
    settings = {
        "APP_ENV": "development",
        "MONGODB_URI": mongodb_uri,
        "PAYMENT_GATEWAY_API_KEYS": DEFAULT_API_KEY,
        "PAYMENT_GATEWAY_DATABASE": database,
        "PAYMENT_GATEWAY_PORT": str(port),
    }
    gateway = Service("payment_gateway", port, settings, tmp_path_factory.mktemp("readme") / "gateway.log")
    try:
        gateway.start()
        yield gateway.url
    finally:
        gateway.stop()
        with pymongo.MongoClient[dict[str, Any]](mongodb_uri) as client:
            client.drop_database(database)


def checking(secret: str) -> Answer:
    """What a right service answers."""

    async def answer(asked: Asked) -> web.StreamResponse:
        return web.Response(status=200 if is_signed(asked, secret) else 401)

    return answer


def is_signed(asked: Asked, secret: str) -> bool:
    try:
        Webhook(secret).verify(asked.body, dict(asked.headers))
    except Exception:  # noqa: BLE001 - whatever it raises
        return False
    return True


@pytest.fixture
async def service() -> AsyncIterator[HttpDouble]:
    async with http_double(checking(DEVELOPMENT_SECRET)) as double:
        yield double


@pytest.fixture
async def terminal(gateway_url: str, service: HttpDouble) -> AsyncIterator[Terminal]:
    async with terminal_for(gateway_url, service.url) as terminal:
        yield terminal


def events(service: HttpDouble) -> list[dict[str, Any]]:
    return [json.loads(one.body) for one in service.posts()]


def statuses(printed: str) -> list[str]:
    return re.findall(r" (\d{3})$", printed, re.MULTILINE)


async def has_seen(service: HttpDouble, count: int) -> None:
    async def seen() -> bool:
        return len(service.posts()) >= count

    await until(seen, f"{count} deliveries")


async def three_times_one_event(terminal: Terminal, service: HttpDouble, lines: list[str]) -> None:
    await terminal.paste(lines[0])
    await has_seen(service, 3)
    assert len({one.headers["webhook-id"] for one in service.posts()}) == 1
    assert len(service.posts()) == 3


async def a_charge_after_no_answer(terminal: Terminal, service: HttpDouble, lines: list[str]) -> None:
    printed = await terminal.paste(lines[0])
    assert "curl: (52)" in printed  # empty reply from server
    assert statuses(printed)[-1:] == ["201"]
    assert len(set(re.findall(r"ch_[0-9a-f]+", printed))) == 1


async def errors_then_success(terminal: Terminal, service: HttpDouble, lines: list[str]) -> None:
    assert statuses(await terminal.paste(lines[0])) == ["500", "503", "201"]


async def replies_about_something_else(terminal: Terminal, service: HttpDouble, lines: list[str]) -> None:
    printed = await terminal.paste(lines[0])
    cut_off, foreign, true = re.findall(r"^(.*) 201$", printed, re.MULTILINE)
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(cut_off)
    assert json.loads(foreign)["reference"] != "order-4"
    assert json.loads(true)["reference"] == "order-4"


async def verdicts(terminal: Terminal, service: HttpDouble, lines: list[str]) -> list[bool]:
    await terminal.paste(lines[0])
    return [is_signed(one, DEVELOPMENT_SECRET) for one in service.posts()]


async def three_forgeries(terminal: Terminal, service: HttpDouble, lines: list[str]) -> None:
    assert await verdicts(terminal, service, lines) == [False, False, False, True]
    assert [event["data"]["amount"] == 1000 for event in events(service)] == [True, False, True, True]


async def a_stale_one(terminal: Terminal, service: HttpDouble, lines: list[str]) -> None:
    assert await verdicts(terminal, service, lines) == [False, True]
    old, fresh = (int(one.headers["webhook-timestamp"]) for one in service.posts())
    assert 3500 < fresh - old < 3700


async def the_refund_first(terminal: Terminal, service: HttpDouble, lines: list[str]) -> None:
    await terminal.paste(lines[0])
    await has_seen(service, 2)
    assert [event["type"] for event in events(service)] == ["refund.succeeded", "payment.succeeded"]


async def the_webhook_first(terminal: Terminal, service: HttpDouble, lines: list[str]) -> None:
    assert statuses(await terminal.paste(lines[0])) == ["201"]
    assert [event["data"]["reference"] for event in events(service)] == ["order-8"]


async def another_amount_first(terminal: Terminal, service: HttpDouble, lines: list[str]) -> None:
    await terminal.paste(lines[0])
    await has_seen(service, 2)
    assert [event["data"]["amount"] for event in events(service)] == [1001, 1000]
    assert len({event["id"] for event in events(service)}) == 2


async def nothing_but_the_list(terminal: Terminal, service: HttpDouble, lines: list[str]) -> None:
    listed = (await terminal.paste(lines[0])).rpartition("EVENT")[2]
    assert "evt_" in listed
    assert "payment.succeeded" in listed
    assert service.posts() == []


async def nothing_lost_in_three_days(terminal: Terminal, service: HttpDouble, lines: list[str]) -> None:
    service.answer = always(503)
    while_down, afterwards = lines
    printed = await terminal.paste(while_down)
    failed = len(service.posts())
    assert 8 <= failed <= 10
    assert printed.rpartition("ATTEMPTS")[2].count("503") == failed
    service.answer = checking(DEVELOPMENT_SECRET)
    assert await terminal.paste(afterwards) == "resent: 1\n"
    await has_seen(service, failed + 1)
    assert is_signed(service.posts()[-1], DEVELOPMENT_SECRET)
    assert len({event["id"] for event in events(service)}) == 1


async def both_secrets_then_the_new_one(terminal: Terminal, service: HttpDouble, lines: list[str]) -> None:
    service.answer = ok
    new = re.findall(r"whsec_\S+", await terminal.paste(lines[0]))[0]
    await has_seen(service, 3)
    signed = [[is_signed(one, secret) for secret in (DEVELOPMENT_SECRET, new)] for one in service.posts()]
    assert signed == [[True, True], [False, True], [False, True]]
    assert [event["type"] for event in events(service)] == ["payment.succeeded", "payment.succeeded", "refund.failed"]
    assert events(service)[-1]["data"]["failureCode"] == "refused"


CHECKS: dict[str, Callable[[Terminal, HttpDouble, list[str]], Awaitable[None]]] = {
    "1": three_times_one_event,
    "2": a_charge_after_no_answer,
    "3": errors_then_success,
    "4": replies_about_something_else,
    "5": three_forgeries,
    "6": a_stale_one,
    "7": the_refund_first,
    "8": the_webhook_first,
    "9": another_amount_first,
    "10": nothing_but_the_list,
    "11": nothing_lost_in_three_days,
    "12": both_secrets_then_the_new_one,
}


@pytest.mark.parametrize("title", RECIPES)
async def test_a_recipe_shows_what_it_says(title: str, terminal: Terminal, service: HttpDouble) -> None:
    await CHECKS[title.partition(".")[0]](terminal, service, RECIPES[title])


def test_every_recipe_is_found() -> None:
    assert {title.partition(".")[0] for title in RECIPES} == set(CHECKS)


async def test_its_snippets_verify_what_is_delivered_and_nothing_else(terminal: Terminal, service: HttpDouble) -> None:
    await terminal.paste("payment-gateway trigger payment.succeeded")
    [sent] = service.posts()
    for snippet in blocks(PAGE, "python"):
        defined: dict[str, Any] = {}
        exec(snippet, defined)
        assert defined["verified"](sent.body, dict(sent.headers), DEVELOPMENT_SECRET) == json.loads(sent.body)
        with pytest.raises(Exception, match="signature"):
            defined["verified"](sent.body + b" ", dict(sent.headers), DEVELOPMENT_SECRET)


def test_the_rates_of_the_page_are_taken(gateway_url: str) -> None:
    [put] = [block for block in blocks(PAGE, "sh") if "/v1/test/faults" in block]
    line = put.replace("http://127.0.0.1:8001", gateway_url)
    taken = json.loads(subprocess.check_output(["bash", "-c", line], timeout=SHELL_SECONDS))
    assert taken["rates"]["reply_server_error"] == 0.05
