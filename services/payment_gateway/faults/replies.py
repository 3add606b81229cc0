"""HTTP: answers a POST that creates, truly or with the fault that was asked for. While a reply only waits, its request does
not count among those at work.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

import msgspec
from litestar import Response
from litestar.types import ASGIApp, Receive, Scope, Send

from payment_gateway.faults.misbehave import Misbehaved
from payment_gateway.faults.rates import ReplyFault
from shared.edge.admit import release
from shared.edge.problems import ProblemError, respond
from shared.edge.responses import replayable
from shared.edge.types import Request
from shared.idempotency import Answer
from shared.times import http_date, utc_now

EARLY_SECONDS = 20.0  # a delivery attempt may take 15
EARLY_POLL_SECONDS = 0.05

_PROBLEMS: Mapping[ReplyFault, str] = {
    "too_many_requests": "rate-limited",
    "server_error": "internal",
    "unavailable": "overloaded",
}


class NoAnswer(Response[Any]):
    """Closes the connection without a byte of an answer; logs and metrics show status 0."""

    def __init__(self) -> None:
        super().__init__(None)

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIApp:  # type: ignore[override]
        return _hang_up


async def reply(request: Request, outcome: Answer | Misbehaved) -> Response[Any]:
    """The true reply, or the reply with its fault."""
    if isinstance(outcome, Answer):
        return replayable(outcome)
    answer, fault, scenario = outcome.answer, outcome.fault, outcome.scenario
    request.scope["fault"] = fault  # type: ignore[typeddict-unknown-key]  # for the list of recent requests
    if answer is None:
        assert fault is not None
        wait = scenario.retry_after_seconds
        error = ProblemError(_PROBLEMS[fault], f"asked for: {fault}; nothing was done", retry_after_seconds=wait)
        dated = scenario.retry_after_as_date and fault != "server_error"
        until = http_date(utc_now() + timedelta(seconds=wait))  # of real time: a client has no other clock
        return respond(request, error, {"Retry-After": until} if dated else {})
    if outcome.told is not None:
        await _until(request, outcome.told)
    if fault in {"timeout", "slow"}:
        release(request.scope)
        await _hold(request, scenario.reply_seconds)
    match fault:
        case "lost" | "timeout":
            return NoAnswer()
        case "malformed_json":
            return replayable(msgspec.structs.replace(answer, body=answer.body[: len(answer.body) // 2]))
        case "wrong_reference":
            return replayable(msgspec.structs.replace(answer, body=_with_other_reference(answer.body)))
        case _:
            return replayable(answer)


async def _until(request: Request, told: Callable[[], Awaitable[bool]]) -> None:
    """Waits for its webhooks, but not for ever, and no longer than the client waits or the server runs."""
    release(request.scope)
    deadline = time.monotonic() + EARLY_SECONDS
    while not await told() and time.monotonic() < deadline:
        if not await _hold(request, EARLY_POLL_SECONDS):
            return


async def _hold(request: Request, seconds: float) -> bool:
    """Lets the client wait. False if the client has gone or the server stops before the time is over."""
    wait: Callable[[float], Awaitable[bool]] = _extension(request.scope, "hold")
    return await wait(seconds)


async def _hang_up(scope: Scope, _receive: Receive, _send: Send) -> None:
    _extension(scope, "hang_up")()


def _extension(scope: Scope, name: str) -> Any:
    """An extension of BoundedProtocol, which serves this request."""
    return scope["extensions"][name]  # type: ignore[index]


def _with_other_reference(body: str) -> str:
    thing = msgspec.json.decode(body, type=dict[str, Any])
    return msgspec.json.encode({**thing, "reference": f"not-{thing['reference']}"[:255]}).decode()
