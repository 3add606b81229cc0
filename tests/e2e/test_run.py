"""`make run`: the whole stack, set up as the environment says."""

import asyncio
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pymongo
import pytest

from tests.e2e.conftest import Api, ends, order_body
from tests.programs import make_run, read_start
from tests.waiting import until
from tools.process import free_port
from tools.stack import is_ready

KEY = "a-key-of-mine"


class Running:
    """One `make run`, and what it printed once it served."""

    def __init__(self, process: "subprocess.Popen[str]", printed: str, order_api: int, gateway: int) -> None:
        self.process = process
        self.printed = printed
        self.order_api = order_api
        self.gateway = gateway


@pytest.fixture(scope="module")
def environment(mongodb_uri: str) -> Iterator[dict[str, str]]:
    name = f"test_{uuid4().hex[:16]}"
    databases = {"ORDER_API_DATABASE": name, "PAYMENT_GATEWAY_DATABASE": f"{name}_gateway"}
    yield {**os.environ, "MONGODB_URI": mongodb_uri, **databases}
    with pymongo.MongoClient[dict[str, Any]](mongodb_uri) as client:
        for database in databases.values():
            client.drop_database(database)


@pytest.fixture(scope="module")
def running(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    order_api, gateway = free_port(), free_port()
    given = {
        "ORDER_API_PORT": str(order_api),
        "PAYMENT_GATEWAY_PORT": str(gateway),
        "PAYMENT_GATEWAY_API_KEY": KEY,
        "CHARGE_DELAY_SECONDS": "0",
        "HTTP_REQUESTS_MAX": "100",
    }
    with make_run(tmp_path_factory.mktemp("run"), {**environment, **given}) as process:
        yield Running(process, read_start(process), order_api, gateway)


async def test_an_order_is_paid_at_the_ports_and_with_the_settings_of_the_environment(
    running: Running, http: aiohttp.ClientSession
) -> None:
    api = Api(http, f"http://127.0.0.1:{running.order_api}")
    _, _, order = await api.place(order_body())
    await ends(api, order["id"], "Paid")
    gateway = Api(http, f"http://127.0.0.1:{running.gateway}")
    bearer = {"Authorization": f"Bearer {KEY}"}
    _, _, charges = await gateway.call("GET", f"/v1/charges?reference={order['id']}", headers=bearer)
    assert [charge["status"] for charge in charges["data"]] == ["succeeded"]


def test_it_says_which_settings_it_took_from_the_environment(running: Running) -> None:
    [named] = re.findall(r"^settings +(.*) from the environment$", running.printed, re.MULTILINE)
    assert {"CHARGE_DELAY_SECONDS", "HTTP_REQUESTS_MAX", "ORDER_API_PORT", "PAYMENT_GATEWAY_PORT"} <= set(
        named.split(", ")
    )


def test_the_last_line_of_its_start_is_the_address_to_open(running: Running) -> None:
    assert running.printed.endswith(f"\nOpen http://127.0.0.1:{running.order_api}\n")


def test_a_port_that_is_taken_is_named_in_one_line_with_its_setting(
    running: Running, environment: dict[str, str], tmp_path: Path
) -> None:
    taken = running.gateway
    with make_run(tmp_path, {**environment, "ORDER_API_PORT": str(taken)}) as second:
        said = second.communicate(timeout=60)
    assert said == ("", f"cannot run: ORDER_API_PORT: port {taken} of 127.0.0.1 is taken; set another port\n")
    assert second.returncode == 1


def test_both_services_on_one_port_are_refused_in_one_line(environment: dict[str, str], tmp_path: Path) -> None:
    port = str(free_port())
    with make_run(tmp_path, {**environment, "ORDER_API_PORT": port, "PAYMENT_GATEWAY_PORT": port}) as process:
        _, complaint = process.communicate(timeout=60)
    same = f"cannot run: ORDER_API_PORT and PAYMENT_GATEWAY_PORT are both {port}; set another port for one of them\n"
    assert complaint == same


def test_ctrl_c_ends_it_well(running: Running) -> None:
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(60) == 0


async def test_a_service_that_was_killed_is_started_again(environment: dict[str, str], tmp_path: Path) -> None:
    given = {"ORDER_API_PORT": str(free_port()), "PAYMENT_GATEWAY_PORT": str(free_port())}
    with make_run(tmp_path, {**environment, **given}) as process:
        read_start(process)
        pid_file = tmp_path / "logs" / "order_api_1.pid"
        killed = int(pid_file.read_text())
        os.kill(killed, signal.SIGKILL)
        assert process.stdout is not None
        assert process.stdout.readline() == "order_api was killed; it is started again\n"

        async def serves_again() -> bool:
            return await asyncio.to_thread(is_ready, f"http://127.0.0.1:{given['ORDER_API_PORT']}")

        await until(serves_again, "order_api serves again")
        assert int(pid_file.read_text()) != killed
