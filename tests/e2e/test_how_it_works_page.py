"""docs/how-it-works.md: each story goes as the page tells it, from its commands to the documents that it shows."""

import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from shared.mongo import Client, Database
from tests.e2e.conftest import end_claims
from tests.pages import Shown, Terminal, all_blocks, as_mongosh, blocks, find_one, open_terminal
from tests.programs import ROOT, make_run, read_start
from tools.process import free_port

PAGE = (ROOT / "docs" / "how-it-works.md").read_text(encoding="utf-8")
STORIES = dict(re.findall(r"^## (\d\. .+?)\n(.*?)(?=^## )", PAGE, re.MULTILINE | re.DOTALL))
[FIRST] = blocks(PAGE.partition("## Before you start")[2].partition("## 1.")[0], "sh")
SECONDS = 200  # more than `until_shows` of the page; and a call that was claimed when the primary died waits for 45 s


@pytest.fixture(scope="module")
async def database(mongo: Client) -> AsyncIterator[Database]:
    name = f"test_{uuid4().hex[:16]}"
    yield mongo[name]
    for one in (name, f"{name}_gateway"):
        await mongo.drop_database(one)


@pytest.fixture(scope="module")
async def terminal(
    mongodb_uri: str, database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Terminal]:
    """Beside a `make run` of its own, with the page's first lines pasted, in which only the addresses are others."""
    folder = tmp_path_factory.mktemp("stories")
    order_api, gateway = free_port(), free_port()
    environment = {
        "MONGODB_URI": mongodb_uri,
        "ORDER_API_DATABASE": database.name,
        "PAYMENT_GATEWAY_DATABASE": f"{database.name}_gateway",
        "ORDER_API_PORT": str(order_api),
        "PAYMENT_GATEWAY_PORT": str(gateway),
        "CHARGE_DELAY_SECONDS": "0.2",
    }
    first = FIRST.replace("$PWD/.venv/bin", str(Path(sys.executable).parent))
    first = first.replace(":8000", f":{order_api}").replace(":8001", f":{gateway}")
    with make_run(folder / ".data", {**os.environ, **environment}) as process:
        read_start(process)
        async with open_terminal(folder) as terminal:
            assert await terminal.paste(first) == ""
            yield terminal


@pytest.mark.parametrize("title", STORIES)
async def test_a_story_goes_as_the_page_tells_it(title: str, terminal: Terminal, database: Database) -> None:
    shown, there = Shown(), ""
    for language, body in all_blocks(STORIES[title]):
        match language:
            case "sh":
                # A call that was claimed when its process died waits for the lease to end; the test ends it now.
                await end_claims(database["orders"])
                lines = body.replace("make failover", f"(cd {ROOT}; {sys.executable} -m tools.failover)")
                there = await terminal.paste(lines, seconds=SECONDS)
            case "js":
                collection, arguments = find_one(body)
                there = as_mongosh(await database[collection].find_one(*arguments))
            case "":
                shown.compare(body, there)


def test_there_are_six_stories_and_each_shows_an_answer() -> None:
    assert len(STORIES) == 6
    assert all("" in [language for language, _ in all_blocks(text)] for text in STORIES.values())
