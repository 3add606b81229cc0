"""payment_gateway against a real MongoDB, and a receiver that answers as a test says."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest

from payment_gateway.app import Application
from payment_gateway.faults.misbehave import Misbehaved
from payment_gateway.problems import PROBLEMS
from payment_gateway.routes import ROUTES
from payment_gateway.schema import ensure_schema
from payment_gateway.settings import Settings
from shared import wire
from shared.edge.admit import Admission
from shared.edge.application import build
from shared.env import Secret
from shared.idempotency import Answer
from shared.mongo import Client
from tests.http_double import HttpDouble, http_double
from tests.integration.kept_database import KeptDatabase, kept_database
from tests.waiting import DEADLINE_SECONDS

SECRET = "whsec_dGhlIHNlY3JldCBvZiB0aGUgdGVzdHMsIG5vIG90aGVy"
MakeApplication = Callable[..., AbstractAsyncContextManager[Application]]


@pytest.fixture(scope="session")
async def kept(mongo: Client) -> AsyncIterator[KeptDatabase]:
    async with kept_database(mongo, ensure_schema) as kept:
        yield kept


@pytest.fixture
async def database_name(kept: KeptDatabase) -> AsyncIterator[str]:
    yield kept.name
    await kept.empty()


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database and the clock may be as slow as the machine, and a connection may take as long as a whole webhook."""
    monkeypatch.setattr("shared.mongo.QUERY_SECONDS", DEADLINE_SECONDS)
    monkeypatch.setattr("payment_gateway.clock.advance.ANSWER_SECONDS", DEADLINE_SECONDS)
    monkeypatch.setattr("payment_gateway.webhooks.post.CONNECT_SECONDS", 120)


@pytest.fixture
async def receiver() -> AsyncIterator[HttpDouble]:
    async with http_double() as double:
        yield double


@pytest.fixture
def make_application(mongodb_uri: str, database_name: str, receiver: HttpDouble) -> MakeApplication:
    """A replica of the gateway on the test's database, its committers running; its workers only if told."""

    @asynccontextmanager
    async def make(*, workers: bool = False, **settings: Any) -> AsyncIterator[Application]:
        defaults: dict[str, Any] = {
            "mongodb_uri": Secret(mongodb_uri),
            "app_env": "development",
            "payment_gateway_database": database_name,
            "charge_delay_seconds": 0,
            "webhook_endpoint_url": f"{receiver.url}/hooks",
            "webhook_endpoint_secret": Secret(SECRET),
            "webhook_timeout_seconds": 30,  # no test waits for it, however slow the machine is
        }
        application = Application(Settings(**{**defaults, **settings}))
        async with application.running(workers=workers):
            yield application

    return make


@pytest.fixture
async def application(make_application: MakeApplication) -> AsyncIterator[Application]:
    async with make_application() as made:
        yield made


def client_of(application: Application) -> httpx.AsyncClient:
    """Somebody who uses the HTTP API of this replica, with no socket between."""
    app = build(
        "payment_gateway",
        ROUTES,
        admission=Admission(application.keys, requests_max=200, test_endpoints=True),
        parts=vars(application),
        problems=PROBLEMS,
        running=_runs_already,
        recent=application.recent,
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://gateway")  # type: ignore[arg-type]


@asynccontextmanager
async def _runs_already() -> AsyncIterator[None]:
    yield


def asked(**changes: Any) -> wire.ChargeRequest:
    fields: dict[str, Any] = {
        "amount": 9999,
        "currency": "USD",
        "reference": f"ord_{uuid4().hex}",
        "payment_method": "pm_card_visa",
    }
    return wire.ChargeRequest(**{**fields, **changes})


async def create(application: Application, *, early: bool = False, **changes: Any) -> wire.Charge:
    """`early`: its reply is to wait for the webhook, and is not waited for."""
    outcome = await application.create_money.charge("default", uuid4().hex, asked(**changes))
    answer = outcome.answer if early and isinstance(outcome, Misbehaved) else outcome
    assert isinstance(answer, Answer)
    return msgspec.json.decode(answer.body, type=wire.Charge)
