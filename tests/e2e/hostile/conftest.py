"""One stack for all files of hostile requests. When a file is through, neither service has grown or has seen an error."""

import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from shared.mongo import Client
from tests.e2e.conftest import running_stack
from tests.e2e.hostile.target import Target
from tests.hostile.memory import GROWTH_KIB_MAX
from tests.hostile.requests import API_KEY, GATEWAY, ORDER_API
from tests.hostile.webhooks import SECRETS


@contextmanager
def running_targets(mongo: Client, uri: str, logs: Path, **settings: str) -> Iterator[tuple[Target, Target]]:
    """order_api and payment_gateway, which know nothing of each other, and no charge ends: what is stored is the test's."""
    name = f"test_{uuid4().hex[:16]}"
    key = f"hostile:{hashlib.sha256(API_KEY.encode()).hexdigest()}"
    own: dict[str, Any] = {
        "ORDER_API_KEYS": key,
        "PAYMENT_GATEWAY_API_KEYS": key,
        "PAYMENT_GATEWAY_URL": "http://127.0.0.1:9",  # nobody is there: no request but the test's reaches the gateway
        "WEBHOOK_SECRETS": ",".join(SECRETS),
        "CHARGE_DELAY_SECONDS": "86400",
    }
    with running_stack(uri, name, logs, **{**own, **settings}) as stack:
        order_api = Target(
            **vars(ORDER_API),
            service=stack.order_apis[0],
            database=mongo[name],
            stores=("orders", "payment_events"),
        )
        gateway = Target(
            **vars(GATEWAY),
            service=stack.gateways[0],
            database=mongo[f"{name}_gateway"],
            stores=("charges", "events"),
        )
        yield order_api, gateway


@pytest.fixture(scope="session")
async def targets(
    mongo: Client, mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Target, Target]]:
    async with own_targets(mongo, mongodb_uri, tmp_path_factory.mktemp("hostile")) as running:
        yield running


@asynccontextmanager
async def own_targets(mongo: Client, uri: str, logs: Path, **settings: str) -> AsyncIterator[tuple[Target, Target]]:
    """Those of a file that has `settings` of its own. What they store goes with them."""
    with running_targets(mongo, uri, logs, **settings) as running:
        yield running
    for target in running:
        await mongo.drop_database(target.database.name)


@pytest.fixture(params=["order_api", "payment_gateway"])
def target(request: pytest.FixtureRequest, targets: tuple[Target, Target]) -> Target:
    return next(one for one in targets if one.name == request.param)


@pytest.fixture
def order_api(targets: tuple[Target, Target]) -> Target:
    return targets[0]


@pytest.fixture
def gateway(targets: tuple[Target, Target]) -> Target:
    return targets[1]


@pytest.fixture(scope="module", autouse=True)
async def unharmed(targets: tuple[Target, Target]) -> AsyncIterator[None]:
    """Each file's requests, taken together, leave both processes as they were: no larger, and with no error in the log."""
    for target in targets:
        await target.assert_serving()
    ends = [target.service.log_file.stat().st_size for target in targets]
    sizes = [target.resident_kib() for target in targets]
    yield
    for target, end, size in zip(targets, ends, sizes, strict=True):
        assert target.errors_logged(end) == []
        assert target.resident_kib() - size < GROWTH_KIB_MAX
