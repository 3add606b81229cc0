"""The commands of the pages that need containers, pasted on the stack of these tests."""

import re
import subprocess

import pytest

from tests.compose.conftest import ROOT, ComposeStack
from tests.pages import blocks
from tests.waiting import until

pytestmark = pytest.mark.timeout(1200)  # the first test also pulls and builds


def pasted(stack: ComposeStack, lines: str) -> str:
    """What the lines of a page print; only the port is another."""
    lines = lines.replace("http://127.0.0.1:8000", stack.order_api).replace("127.0.0.1:8000", stack.order_api)
    command = ["bash", "-c", lines]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=120).stdout


def commands(page: str, about: str) -> list[str]:
    """Those of the page that have to do with this."""
    return [block for block in blocks((ROOT / page).read_text(encoding="utf-8"), "sh") if about in block]


async def test_the_readmes_lines_place_an_order_and_find_it_paid(stack: ComposeStack) -> None:
    [lines] = commands("README.md", "docker compose up")
    up, place_it, look_at_it, find_it = lines.splitlines()
    assert up == "docker compose up --wait"  # as the stack has done
    assert '"status":"Pending"' in pasted(stack, place_it)
    assert look_at_it.startswith("sleep 6; ")

    async def is_paid() -> bool:  # instead of the page's sleep
        return '"status":"Paid"' in pasted(stack, look_at_it.removeprefix("sleep 6; "))

    await until(is_paid, "the order is paid")
    assert re.search("order_number: 'ORD-1',.*status: 'Paid'", pasted(stack, find_it), re.DOTALL)


async def test_the_queries_of_the_pages_find_the_order_and_all_that_belongs_to_it(stack: ComposeStack) -> None:
    [lines] = commands("docs/run.md", "/api/orders")
    place_it, look_at_it = lines.split("sleep 6\n")
    pasted(stack, place_it)

    async def is_paid() -> bool:  # instead of the page's sleep
        return "status: 'Paid'" in pasted(stack, look_at_it)

    await until(is_paid, "the order is paid")

    async def is_delivered() -> bool:
        return "state: 'delivered'" in queried(stack)

    await until(is_delivered, "the gateway knows that its webhook was taken")
    found = queried(stack)
    for what in ("cause: 'placed'", "state: 'done'", "fingerprint", "outcome: 'applied'", "state: 'delivered'"):
        assert what in found
    assert "Error" not in found


def queried(stack: ComposeStack) -> str:
    """Runs the queries of the page about MongoDB, and returns what they print."""
    queries = "".join(blocks((ROOT / "docs" / "mongodb.md").read_text(encoding="utf-8"), "js"))
    return pasted(stack, f"docker compose exec -T mongo mongosh order_api --quiet <<'END'\n{queries}END")
