"""`make openapi`: writes the OpenAPI document of each service beside its code, as the service itself answers it."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import httpx
from litestar.types import ASGIApp

import order_api.app
import order_api.settings
import payment_gateway.app
import payment_gateway.settings
from shared.edge.limits import HttpLimits
from shared.env import Secret
from shared.telemetry import configure_logs

SERVICES = Path(__file__).parent.parent / "services"
_NO_DATABASE = Secret("mongodb://127.0.0.1:1")


def documents() -> Mapping[Path, str]:
    """What should be in each file."""
    limits = HttpLimits()
    return {
        SERVICES / "order_api" / "openapi.json": _document(
            order_api.app.create_app(order_api.settings.Settings(mongodb_uri=_NO_DATABASE), limits)
        ),
        SERVICES / "payment_gateway" / "openapi.json": _document(
            payment_gateway.app.create_app(payment_gateway.settings.Settings(mongodb_uri=_NO_DATABASE), limits)
        ),
    }


def _document(app: ASGIApp) -> str:
    async def ask() -> str:
        transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            return (await client.get("/schema/openapi.json")).raise_for_status().text

    return json.dumps(json.loads(asyncio.run(ask())), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    configure_logs("WARNING", "auto", service="openapi")
    for path, document in documents().items():
        path.write_text(document, encoding="utf-8")


if __name__ == "__main__":
    main()
