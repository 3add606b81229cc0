"""Both applications for all files of hostile requests, each with a database that nobody answers for."""

import hashlib
import os
from collections.abc import Iterator
from functools import partial

import pytest
import uvicorn
from litestar.types import ASGIApp
from structlog.testing import capture_logs
from structlog.typing import EventDict
from uvicorn.server import ServerState

from order_api.app import create_app as create_order_api
from order_api.settings import Settings as OrderApiSettings
from payment_gateway.app import create_app as create_gateway
from payment_gateway.settings import Settings as GatewaySettings
from shared.edge.limits import HttpLimits
from shared.edge.protocol import BoundedProtocol
from shared.edge.unread import Unread
from shared.env import Secret
from tests.hostile.memory import GROWTH_KIB_MAX, resident_kib
from tests.hostile.requests import API_KEY, GATEWAY, ORDER_API, Requests
from tests.hostile.webhooks import SECRETS
from tests.unit.hostile.in_process import InProcess

NOBODY = Secret("mongodb://127.0.0.1:9/?directConnection=true")
KEYS = (Secret(f"hostile:{hashlib.sha256(API_KEY.encode()).hexdigest()}"),)
LIMITS = HttpLimits()


@pytest.fixture(scope="session")
async def order_api() -> InProcess:
    secrets = tuple(map(Secret, SECRETS))
    settings = OrderApiSettings(app_env="development", mongodb_uri=NOBODY, order_api_keys=KEYS, webhook_secrets=secrets)
    return in_process(ORDER_API, create_order_api(settings, LIMITS))


@pytest.fixture(scope="session")
async def gateway() -> InProcess:
    settings = GatewaySettings(app_env="development", mongodb_uri=NOBODY, payment_gateway_api_keys=KEYS)
    return in_process(GATEWAY, create_gateway(settings, LIMITS))


def in_process(requests: Requests, app: ASGIApp) -> InProcess:
    config = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
    )
    connect = partial(BoundedProtocol, LIMITS, Unread(), config=config, server_state=ServerState(), app_state={})
    return InProcess(**vars(requests), connect=connect)


@pytest.fixture(params=["order_api", "payment_gateway"])
def target(request: pytest.FixtureRequest, order_api: InProcess, gateway: InProcess) -> InProcess:
    return order_api if request.param == "order_api" else gateway


@pytest.fixture(scope="module", autouse=True)
def unharmed(order_api: InProcess, gateway: InProcess) -> Iterator[None]:
    """Each file's requests, taken together, log no error and leave this process no larger."""
    before = resident_kib(os.getpid())
    with capture_logs() as lines:
        yield
    assert [line for line in lines if _is_error(line)] == []
    assert resident_kib(os.getpid()) - before < GROWTH_KIB_MAX


def _is_error(line: EventDict) -> bool:
    return line["log_level"] in {"error", "critical"} or line.get("status", 0) >= 500 or "exc_info" in line
