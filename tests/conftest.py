"""Gives tests that ask for it a real MongoDB, and each a fresh database."""

import os
import signal
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

from shared.mongo import Client, connect
from tests.guarded_mongod import GuardedMongod, guarded_mongod
from tests.waiting import DEADLINE_SECONDS
from tools.mongod import scratch, temporary_mongod, transactions_begun

OPTIONS = (
    *("--setParameter", "enableTestCommands=1"),  # lets a test make chosen commands fail (failCommand)
    *("--setParameter", "diagnosticDataCollectionEnabled=false"),
    # In milliseconds. To drop a database waits for the next commit of the journal, by default up to 100.
    *("--journalCommitInterval", "10"),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--mongo",
        choices=["auto", "container"],
        default="auto",
        help="auto: MONGODB_URI if set, else the wheel's mongod; container: mongo:8.0 through testcontainers",
    )


def pytest_configure() -> None:
    """Restores SIGINT: a shell that starts the tests in the background makes them, and all that they start, ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def mongodb_uri(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.config.getoption("--mongo") == "container":
        from tests.containers import mongodb_container  # noqa: PLC0415

        with mongodb_container() as uri:
            yield uri
            assert transactions_begun(uri, seconds=DEADLINE_SECONDS) == 0
    elif given := os.environ.get("MONGODB_URI"):
        yield given
    else:
        with temporary_mongod(OPTIONS, below=scratch()) as mongod:
            yield mongod.uri
            assert transactions_begun(mongod.uri, seconds=DEADLINE_SECONDS) == 0


@pytest.fixture(scope="session")
def guarded() -> Iterator[GuardedMongod]:
    with guarded_mongod(below=scratch()) as mongod:
        yield mongod


@pytest.fixture(scope="session")
async def mongo(mongodb_uri: str) -> AsyncIterator[Client]:
    """It asks the server how it is, and does not have it stream that: nobody would read the stream while tests without an
    event loop run. PyMongo would then take the line for broken, and cancel a command that is under way.
    """
    options = "&" if "?" in mongodb_uri else "?"
    with pytest.MonkeyPatch.context() as patch:  # a service gives up sooner than a test on a busy machine has to
        patch.setattr("shared.mongo.QUERY_SECONDS", DEADLINE_SECONDS)
        client = connect(f"{mongodb_uri}{options}serverMonitoringMode=poll", app_name="tests")
    yield client
    await client.close()


@pytest.fixture
async def fresh_database_name(mongo: Client) -> AsyncIterator[str]:
    name = f"test_{uuid4().hex[:16]}"
    yield name
    await mongo.drop_database(name)


@pytest.fixture
def database_name(fresh_database_name: str) -> str:
    return fresh_database_name
