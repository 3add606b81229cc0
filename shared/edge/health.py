"""Health: live means the process answers, ready that it can serve."""

from typing import Any

from litestar import Response, get

from shared.mongo import Client, is_reachable


@get("/health/live", public=True, always=True, include_in_schema=False, sync_to_thread=False)
def is_live() -> dict[str, str]:
    return {"status": "live"}


async def is_ready(client: Client) -> Response[Any]:
    ready = await is_reachable(client)
    body = {"status": "ready"} if ready else {"status": "unavailable", "detail": "the database does not answer"}
    return Response(body, status_code=200 if ready else 503)
