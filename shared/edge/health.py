"""Health. Live means that the process answers, and ready means that it can serve."""

import asyncio
import time
from typing import Annotated, Literal

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec

from shared.mongo import Client, is_reachable

READINESS_KEPT_SECONDS = 0.5


class Live(msgspec.Struct):
    status: Literal["live"]


class Ready(msgspec.Struct, omit_defaults=True):
    """`detail` says what is missing."""

    status: Annotated[Literal["ready", "unavailable"], msgspec.Meta(examples=["ready"])]
    detail: str | None = None


@get("/health/live", tags=["Service"], public=True, always=True, sync_to_thread=False)
def is_live() -> Live:
    """Whether the process answers."""
    return Live("live")


class Readiness:
    """Whether the database's primary answers. However often it is asked, the database is asked once at a time."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._asking = asyncio.Lock()
        self._ready = False
        self._kept_until = 0.0

    async def __call__(self) -> Response[Ready]:
        async with self._asking:
            if time.monotonic() >= self._kept_until:
                self._ready = await is_reachable(self._client)
                self._kept_until = time.monotonic() + READINESS_KEPT_SECONDS
        if self._ready:
            return Response(Ready("ready"))
        return Response(Ready("unavailable", "the database does not answer"), status_code=503)


@get(
    "/health/ready",
    tags=["Service"],
    public=True,
    always=True,
    responses={503: ResponseSpec(Ready, description="It cannot serve", generate_examples=False)},
)
async def health_ready(readiness: NamedDependency[Readiness]) -> Response[Ready]:
    """Whether it can serve: the database's primary answers."""
    return await readiness()
