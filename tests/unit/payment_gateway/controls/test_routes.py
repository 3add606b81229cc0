"""What /v1/test does is for tests: everything there is refused where it is not enabled."""

from collections.abc import Iterator

import httpx
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp

from payment_gateway.app import create_app
from payment_gateway.settings import Settings
from shared.edge.exchange import exchanging
from shared.edge.limits import HttpLimits
from shared.edge.recent import Recent
from shared.env import Secret


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> tuple[ASGIApp, Litestar]:
    """A gateway in production, nothing of which is connected, and the application within that knows its routes."""
    within: list[Litestar] = []

    def keep(app: ASGIApp, recent: Recent | None) -> ASGIApp:
        assert isinstance(app, Litestar)
        within.append(app)
        return exchanging(app, recent)

    monkeypatch.setattr("shared.edge.application.exchanging", keep)
    app = create_app(Settings(mongodb_uri=Secret("mongodb://127.0.0.1:1")), HttpLimits())
    return app, within[0]


def requests(app: Litestar) -> Iterator[tuple[str, str]]:
    """Method and path of all that is under /v1/test."""
    for route in app.routes:
        if isinstance(route, HTTPRoute) and route.path.startswith("/v1/test"):
            for method in route.methods - {"OPTIONS"}:
                yield method, route.path


async def test_every_test_endpoint_that_there_is_is_refused_unless_enabled(built: tuple[ASGIApp, Litestar]) -> None:
    app, within = built
    answers = {}
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        for method, path in requests(within):
            answer = await client.request(method, path, json=None if method == "GET" else {})
            answers[method, path] = answer.status_code, answer.json()["type"].rpartition("/")[2]
    assert len(answers) >= 7
    assert set(answers.values()) == {(403, "test-endpoints-disabled")}, answers
