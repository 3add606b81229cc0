"""What `docker compose up` promises."""

import json
import re
import subprocess

import aiohttp
import pytest

from tests.compose.conftest import CONTAINERS, ROOT, ComposeStack, place, until_paid
from tests.pages import blocks

pytestmark = pytest.mark.timeout(1200)  # the first test also pulls and builds

# Process 1 is Docker's init; the service is its child.
KILL_THE_SERVICE = """
for stat in /proc/[0-9]*/stat; do read -r pid _ _ parent _ < $stat; [ "$parent" = 1 ] && kill -9 $pid; done
"""


async def test_an_order_placed_on_the_published_port_becomes_paid(
    stack: ComposeStack, http: aiohttp.ClientSession
) -> None:
    order = await until_paid(http, stack, await place(http, stack))
    assert [charge["state"] for charge in order["charges"]] == ["succeeded"]


async def test_mongosh_in_the_container_finds_the_order(stack: ComposeStack, http: aiohttp.ClientSession) -> None:
    order_id = await place(http, stack)
    script = f"EJSON.stringify(db.orders.findOne({{_id: '{order_id}'}}, {{amount_minor: 1, currency: 1}}))"
    found = stack.run("exec", "-T", "mongo", "mongosh", "order_api", "--quiet", "--eval", script)
    assert json.loads(found) == {"_id": order_id, "amount_minor": 9999, "currency": "USD"}


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
    assert '"status":"Paid"' in pasted(stack, look_at_it)
    assert re.search("order_number: 'ORD-1',.*status: 'Paid'", pasted(stack, find_it), re.DOTALL)


async def test_the_queries_of_the_pages_find_the_order_and_all_that_belongs_to_it(stack: ComposeStack) -> None:
    [lines] = commands("docs/run.md", "/api/orders")
    assert "status: 'Paid'" in pasted(stack, lines)
    [queries] = blocks((ROOT / "docs" / "mongodb.md").read_text(encoding="utf-8"), "js")
    found = pasted(stack, f"docker compose exec -T mongo mongosh order_api --quiet <<'END'\n{queries}END")
    for what in ("cause: 'placed'", "state: 'done'", "fingerprint", "outcome: 'applied'", "state: 'delivered'"):
        assert what in found
    assert "Error" not in found


async def test_the_gateways_commands_run_in_its_container(stack: ComposeStack) -> None:
    stack.run("exec", "-T", "payment-gateway", "python", "-m", "payment_gateway", "trigger", "payment.failed")


async def test_down_and_up_keep_the_order(stack: ComposeStack, http: aiohttp.ClientSession) -> None:
    order_id = await place(http, stack)
    before = await until_paid(http, stack, order_id)
    stack.run("down")
    stack.up()
    assert await until_paid(http, stack, order_id) == before


async def test_an_order_is_paid_although_order_api_is_killed_meanwhile(
    stack: ComposeStack, http: aiohttp.ClientSession
) -> None:
    restarts = stack.inspect("order-api")["RestartCount"]
    order_id = await place(http, stack)
    stack.run("exec", "-T", "order-api", "sh", "-c", KILL_THE_SERVICE)
    order = await until_paid(http, stack, order_id)
    assert [charge["state"] for charge in order["charges"]] == ["succeeded"]
    assert stack.inspect("order-api")["RestartCount"] == restarts + 1


async def test_stopping_lets_every_container_end_well(stack: ComposeStack) -> None:
    stack.run("stop")
    assert {name: stack.inspect(name)["State"]["ExitCode"] for name in CONTAINERS} == dict.fromkeys(CONTAINERS, 0)
    stack.up()
