"""HTTP: how what was created is answered, truly or as it was asked to go wrong."""

import time
from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Request, Response

from payment_gateway.faults import ReplyFault
from payment_gateway.misbehave import Misbehave, Misbehaved
from shared.create_once import Answer
from shared.edge.admit import Admission
from shared.edge.connection import NoAnswer, hold
from shared.edge.problems import ProblemError
from shared.edge.responses import replayable

EARLY_SECONDS = 20.0  # an attempt may take 15
EARLY_POLL_SECONDS = 0.05

_PROBLEMS: Mapping[ReplyFault, str] = {
    "too_many_requests": "rate-limited",
    "server_error": "internal",
    "unavailable": "overloaded",
}


class Replies:
    """Answers requests. One that only waits gives back its place among those at work."""

    def __init__(self, misbehave: Misbehave, admission: Admission) -> None:
        self._misbehave = misbehave
        self._admission = admission

    async def give(self, request: Request[Any, Any, Any], outcome: Answer | Misbehaved) -> Response[Any]:
        """Raises ProblemError: `rate-limited`, `internal`, `overloaded`."""
        if isinstance(outcome, Answer):
            return replayable(outcome)
        answer, fault, scenario = outcome.answer, outcome.fault, outcome.scenario
        if answer is None:
            assert fault is not None
            wait = scenario.retry_after_seconds
            raise ProblemError(_PROBLEMS[fault], f"asked for: {fault}; nothing was done", retry_after_seconds=wait)
        if outcome.early:
            await self._await_webhooks(request, answer)
        return await self._spoiled(request, answer, fault, scenario.reply_seconds)

    async def _spoiled(
        self, request: Request[Any, Any, Any], answer: Answer, fault: ReplyFault | None, seconds: float
    ) -> Response[Any]:
        if fault in {"timeout", "slow"}:
            self._admission.release(request.scope)
            await hold(request, seconds)
        match fault:
            case "lost" | "timeout":
                return NoAnswer()
            case "malformed_json":
                return replayable(msgspec.structs.replace(answer, body=answer.body[: len(answer.body) // 2]))
            case "wrong_reference":
                return replayable(msgspec.structs.replace(answer, body=_with_other_reference(answer.body)))
            case _:
                return replayable(answer)

    async def _await_webhooks(self, request: Request[Any, Any, Any], answer: Answer) -> None:
        self._admission.release(request.scope)
        deadline = time.monotonic() + EARLY_SECONDS
        while not await self._misbehave.has_told(answer.resource_id) and time.monotonic() < deadline:
            if not await hold(request, EARLY_POLL_SECONDS):
                return


def _with_other_reference(body: str) -> str:
    thing = msgspec.json.decode(body, type=dict[str, Any])
    return msgspec.json.encode({**thing, "reference": f"not-{thing['reference']}"[:255]}).decode()
