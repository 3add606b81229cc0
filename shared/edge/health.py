"""Health: live means the process answers, ready that it can serve."""

from typing import Literal

import msgspec
from litestar import Response, get
from litestar.openapi import ResponseSpec

from shared.mongo import Client, is_reachable


class Live(msgspec.Struct):
    status: Literal["live"]


class Ready(msgspec.Struct, omit_defaults=True):
    """`detail` says what is missing."""

    status: Literal["ready", "unavailable"]
    detail: str | None = None


NOT_READY = {503: ResponseSpec(Ready, description="It cannot serve", generate_examples=False)}


@get("/health/live", tags=["Service"], public=True, always=True, sync_to_thread=False)
def is_live() -> Live:
    """Whether the process answers."""
    return Live("live")


async def is_ready(client: Client) -> Response[Ready]:
    if await is_reachable(client):
        return Response(Ready("ready"))
    return Response(Ready("unavailable", "the database does not answer"), status_code=503)
