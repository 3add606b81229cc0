"""Answers whose bytes are made already."""

from collections.abc import Mapping
from typing import Any

from litestar import Response

from shared.idempotency import Answer


def json_response(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response[Any]:
    return Response(body, status_code=status, media_type="application/json", headers=headers)


def replayable(answer: Answer) -> Response[Any]:
    """What the key was first answered; a replay says that it is one."""
    headers = {"Location": answer.location}
    if answer.replayed:
        headers["Idempotent-Replayed"] = "true"
    return json_response(answer.body.encode(), answer.status, headers)
