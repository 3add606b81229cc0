"""Health. Live means that the process answers, and ready means that it can serve."""

from functools import partial
from typing import Annotated, Literal

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec

from shared.kept import Kept
from shared.mongo import Client, is_reachable

READINESS_KEPT_SECONDS = 0.5  # the database is asked no more often than this


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


class Readiness(Kept[bool]):
    """Whether the database's primary answers."""

    def __init__(self, client: Client) -> None:
        super().__init__(partial(is_reachable, client), seconds=READINESS_KEPT_SECONDS)


@get(
    "/health/ready",
    tags=["Service"],
    public=True,
    always=True,
    responses={503: ResponseSpec(Ready, description="It cannot serve", generate_examples=False)},
)
async def health_ready(readiness: NamedDependency[Readiness]) -> Response[Ready]:
    """Whether it can serve: the database's primary answers."""
    if await readiness():
        return Response(Ready("ready"))
    return Response(Ready("unavailable", "the database does not answer"), status_code=503)
