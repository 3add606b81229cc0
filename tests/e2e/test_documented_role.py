"""The role on the page of operations is enough, and a start with less says what is missing."""

from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest

from tests.e2e.conftest import Api, ends, order_body, running_stack
from tests.guarded_mongod import GuardedMongod, documented_actions
from tools.process import free_port
from tools.stack import Service


async def test_both_services_start_and_serve_with_it_on_an_empty_and_on_an_existing_database(
    guarded: GuardedMongod, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    name = f"test_{uuid4().hex[:12]}"
    guarded.allow(name, *documented_actions(), databases=[name, f"{name}_gateway"])
    for attempt in ("empty", "existing"):
        logs = tmp_path / attempt
        logs.mkdir()
        with running_stack(guarded.uri(name), name, logs) as stack:
            api = Api(http, stack.order_apis[0].url)
            status, _, order = await api.place(order_body())
            assert status == 201, order
            await ends(api, order["id"], "Paid")
            bearer = {"Authorization": f"Bearer {stack.api_key}"}
            status, _, _ = await Api(http, stack.gateways[0].url).call("POST", "/v1/test/reset", headers=bearer)
            assert status in {200, 204}
            assert [service.stop() for service in stack.services] == [0, 0]


@pytest.mark.parametrize("module", ["order_api", "payment_gateway"])
async def test_a_start_with_less_ends_in_one_line_that_names_what_is_missing(
    guarded: GuardedMongod, module: str, tmp_path: Path
) -> None:
    name = f"test_{uuid4().hex[:12]}"
    guarded.allow(name, "find", "insert", "update", "listCollections", "createIndex", databases=[name])
    environment = {
        "APP_ENV": "development",
        "MONGODB_URI": guarded.uri(name),
        "ORDER_API_DATABASE": name,
        "PAYMENT_GATEWAY_DATABASE": name,
    }
    service = Service(module, free_port(), environment, tmp_path / "log")
    service.launch()
    assert service.process is not None
    assert service.process.wait(60) == 1
    assert service.log_file.read_text() == (
        f"cannot start: MONGODB_URI: in the database {name} this user may not collMod, remove: give it the role in "
        "docs/operations.md, The MongoDB user\n"
    )
