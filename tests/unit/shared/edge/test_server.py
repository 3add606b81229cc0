"""How a service ends."""

import signal
from collections.abc import Iterator

import pytest
from litestar.types import Receive, Scope, Send

from shared.address import Address
from shared.edge.limits import HttpLimits
from shared.edge.server import serve


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_a_service_that_cannot_start_ends_with_status_1() -> None:
    async def without_its_database(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "MongoDB is away"})  # type: ignore[arg-type]

    with pytest.raises(SystemExit) as end:
        serve(without_its_database, Address("order_api", "127.0.0.1", 0), limits=HttpLimits())
    assert end.value.code == 1
