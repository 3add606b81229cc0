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


async def documents() -> Mapping[Path, str]:
    """What each file should hold."""
    uri, limits = Secret("mongodb://127.0.0.1:1"), HttpLimits()  # nothing is asked of the database
    orders = order_api.app.create_app(order_api.settings.Settings(mongodb_uri=uri), limits)
    gateway = payment_gateway.app.create_app(payment_gateway.settings.Settings(mongodb_uri=uri), limits)
    return {
        SERVICES / "order_api" / "openapi.json": await _document(orders),
        SERVICES / "payment_gateway" / "openapi.json": await _document(gateway),
    }


async def _document(app: ASGIApp) -> str:
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        answer = (await client.get("/schema/openapi.json")).raise_for_status()
    return json.dumps(answer.json(), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    configure_logs("WARNING", "auto", service="openapi")
    for path, document in asyncio.run(documents()).items():
        path.write_text(document, encoding="utf-8")


if __name__ == "__main__":
    main()
