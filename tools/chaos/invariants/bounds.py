"""How long everything took, and how much memory. Invariant 14."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

from tools.chaos.afterwards import AFTERWARDS
from tools.chaos.client import GIVE_UP_SECONDS
from tools.chaos.evidence import Evidence
from tools.chaos.history import Operation
from tools.chaos.invariants.finding import Finding, Findings

MARGIN_SECONDS = 10.0  # for a machine that does all of this at once
# The longest that a service lets anybody wait: order_api for a group commit; the gateway, which is told to be slow, for its
# slowest payment method and another attempt under the same key.
ANSWER_SECONDS = {"order_api": 10.0, "payment_gateway": 80.0}
BODY_SECONDS = 15.0  # HTTP_BODY_SECONDS: how long a service waits for the rest of a request that may never come
UNREAD = {0, HTTPStatus.REQUEST_TIMEOUT}  # the statuses of such a request; 0 is no answer
LOADED_SECONDS = 5.0  # that an answer may come later, of a process that shares two cores with ten others
AFTERWARDS_SECONDS = 5.0  # until an order is acknowledged when nothing is broken any more
WAKING_SECONDS = 2.0  # after a SIGSTOP in which what was on its way is dealt with

RESIDENT_BYTES_MAX = 300 * 1024 * 1024  # they begin at 70 MB
GROWTH_MAX = 1.4  # from the first to the second half of a process's life
WARM_UP_SAMPLES = 10  # until what every process needs has been loaded
SAMPLES_MIN = 60  # a second each; a shorter life tells nothing of growth
_NEW_LIFE = 0.7  # of what was resident before: no process gives back so much at once


def everything_was_bounded(evidence: Evidence) -> Findings:
    """14. Every try and every operation ended in time, as clients and as the services saw it, unless somebody had stopped
    the process; who has survived answers at once; no process's memory was large or kept growing.
    """
    for operation in evidence.operations:
        yield from _ended_in_time(operation)
    for log in evidence.logs:
        yield from _answered_in_time(log, evidence.pauses.get(log.stem, ()))
    for name, samples in evidence.memory.items():
        yield from _memory_was_bounded(name, samples)


def _ended_in_time(operation: Operation) -> Findings:
    if operation.ended is None:
        yield Finding(f"operation {operation.number} never ended", operation.order_id)
        return
    for attempt in operation.attempts:
        if attempt.seconds > attempt.deadline_seconds + MARGIN_SECONDS:
            yield Finding(f"a try of operation {operation.number} took {attempt.seconds:.1f} s", operation.order_id)
    took_seconds = operation.ended - operation.began
    tries_seconds = max((attempt.deadline_seconds for attempt in operation.attempts), default=0.0)
    if took_seconds > GIVE_UP_SECONDS + tries_seconds + MARGIN_SECONDS:
        yield Finding(f"operation {operation.number} was not given up", operation.order_id)
    if operation.client == AFTERWARDS and (operation.answer is None or took_seconds > AFTERWARDS_SECONDS):
        said = f"ended {operation.outcome} after {took_seconds:.1f} s"
        yield Finding(f"operation {operation.number}, when all was healed, {said}", operation.order_id)


def _answered_in_time(log: Path, pauses: Sequence[tuple[float, float]]) -> Findings:
    """By the log's own lines: its clients may have gone long before."""
    bound_seconds = next((bound for name, bound in ANSWER_SECONDS.items() if log.stem.startswith(name)), None)
    if bound_seconds is None:
        return
    for line in _requests(log):
        seconds, ended = line["duration_ms"] / 1000, datetime.fromisoformat(line["timestamp"]).timestamp()
        stopped = any(began < ended and ended - seconds < until + WAKING_SECONDS for began, until in pauses)
        waited_seconds = BODY_SECONDS if line["status"] in UNREAD else 0.0
        if seconds > waited_seconds + bound_seconds + LOADED_SECONDS and not stopped:
            what = f"{line['method']} {line['path']} ({line.get('request_id')}) took {seconds:.1f} s"
            yield Finding(f"{log.stem}: {what}", line.get("order_id"))


def _requests(log: Path) -> Iterator[dict[str, Any]]:
    if not log.exists():
        return
    with log.open(errors="replace") as lines:
        for line in lines:
            if '"duration_ms"' not in line:
                continue
            try:
                said = json.loads(line)
            except ValueError:  # torn by a kill
                continue
            if said.get("event") == "request":
                yield said


def _memory_was_bounded(name: str, samples: Sequence[int]) -> Findings:
    if max(samples, default=0) > RESIDENT_BYTES_MAX:
        yield Finding(f"{name} had {max(samples) / 1e6:.0f} MB of memory")
    for life in _lives(samples):
        warm = life[WARM_UP_SAMPLES:]
        if len(life) >= SAMPLES_MIN:
            half = len(warm) // 2
            grown = max(warm[half:]) / max(warm[:half])
            if grown > GROWTH_MAX:
                yield Finding(f"{name} had {grown:.1f} times the memory that it had in the first half of its life")


def _lives(samples: Sequence[int]) -> Iterator[Sequence[int]]:
    """A process that is started anew begins with little."""
    begun = 0
    for number in range(1, len(samples)):
        if samples[number] < _NEW_LIFE * samples[number - 1]:
            yield samples[begun:number]
            begun = number
    yield samples[begun:]
