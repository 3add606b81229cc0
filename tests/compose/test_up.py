"""What `docker compose up` promises."""

import json
import re

import aiohttp
import pytest

from tests.compose.conftest import CONTAINERS, SERVICES, ComposeStack, place, until_paid

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


async def test_both_consoles_are_in_the_images_and_lead_to_each_other(
    stack: ComposeStack, http: aiohttp.ClientSession
) -> None:
    others = {stack.order_api: "gatewayConsoleUrl", stack.payment_gateway: "orderConsoleUrl"}
    for (address, name), other in zip(others.items(), reversed(others), strict=True):
        async with http.get(address, headers={"Accept": "text/html"}) as page:
            assert (page.status, page.content_type) == (200, "text/html")
            files = re.findall(r'(?:src|href)="(/console/[^"]+)"', await page.text())
        assert len(files) >= 3
        for file in files:
            async with http.get(address + file) as found:
                assert found.status == 200, file
        async with http.get(f"{address}/console/config.json") as config:
            assert (await config.json())[name] == other


@pytest.mark.parametrize("service", SERVICES)
async def test_a_start_ends_with_a_line_to_read_that_names_the_published_address(
    stack: ComposeStack, service: str
) -> None:
    url = getattr(stack, service.replace("-", "_"))
    first, *_ = stack.run("logs", "--no-log-prefix", "--no-color", service).splitlines()
    assert re.fullmatch(rf".*Z \[info +\] started +url={re.escape(url)}", first)


async def test_mongosh_in_the_container_finds_the_order(stack: ComposeStack, http: aiohttp.ClientSession) -> None:
    order_id = await place(http, stack)
    script = f"EJSON.stringify(db.orders.findOne({{_id: '{order_id}'}}, {{amount_minor: 1, currency: 1}}))"
    found = stack.run("exec", "-T", "mongo", "mongosh", "order_api", "--quiet", "--eval", script)
    assert json.loads(found) == {"_id": order_id, "amount_minor": 9999, "currency": "USD"}


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
