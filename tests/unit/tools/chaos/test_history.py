"""What a client can know of what it asked for."""

from pathlib import Path

import pytest

from tools.chaos.history import Attempt, History, read


def attempt(status: int | None, body: bytes = b"") -> Attempt:
    return Attempt(url="", began=0.0, seconds=0.0, deadline_seconds=1.0, status=status, body=body)


def test_a_history_can_be_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    with History(path) as history:
        operations = [history.begin("customer", "north", "place", key=key) for key in ("one", "two")]
        operations[1].attempts.append(attempt(201, b"\xff{}"))
        history.end(operations[1], "ok")
        history.end(operations[0], "unknown")
    assert read(path) == operations


@pytest.mark.parametrize("status", [400, 401, 404, 409, 422])
def test_a_refusal_is_definite(status: int) -> None:
    assert attempt(status).refused


@pytest.mark.parametrize("status", [429, 500, 503, None])
def test_whatever_else_is_no_refusal(status: int | None) -> None:
    assert not attempt(status).refused


def test_a_key_in_flight_may_yet_take_effect() -> None:
    in_flight = attempt(409, b'{"type":"/problems/idempotency-key-in-flight"}')
    assert not in_flight.refused
    assert not in_flight.undone


def test_what_was_refused_after_a_lost_answer_may_have_happened() -> None:
    operation = History().begin("customer", "north", "refund")
    operation.attempts += [attempt(None), attempt(409)]
    assert operation.may_have_happened
