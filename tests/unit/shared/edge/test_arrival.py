"""How long a client may take to send a request, and how much it may send, without a socket and without waiting."""

from math import inf

from shared.edge.arrival import Arrival, Phase
from shared.edge.limits import BODY_BYTES_A_SECOND_MIN, BODY_BYTES_MAX, BODY_WIRE_BYTES_MAX, HEAD_BYTES_MAX, HttpLimits

LIMITS = HttpLimits(http_head_seconds=10, http_body_seconds=15)


def piece(
    arrival: Arrival, size: int, *entered: Phase, now: float, head_bytes: int = 0, is_answering: bool = False
) -> None:
    arrival.begin_piece(size)
    for phase in entered:
        arrival.enter(phase)
    arrival.end_piece(now, head_bytes=head_bytes, is_answering=is_answering)


def test_a_new_connection_has_the_time_of_a_head() -> None:
    assert Arrival(LIMITS, 100).deadline == 110


def test_more_bytes_of_a_head_give_no_more_time() -> None:
    arrival = Arrival(LIMITS, 100)
    piece(arrival, 1, Phase.HEAD, now=105, head_bytes=1)
    piece(arrival, 1, now=114)
    assert arrival.deadline == 115


def test_a_body_has_its_own_time_from_the_end_of_the_head_on() -> None:
    arrival = Arrival(LIMITS, 100)
    piece(arrival, 100, Phase.HEAD, Phase.BODY, now=105)
    assert arrival.deadline == 120


def test_a_body_that_comes_slowly_but_steadily_gets_more_time_up_to_the_size_of_a_body() -> None:
    arrival = Arrival(LIMITS, 100)
    piece(arrival, 100, Phase.HEAD, Phase.BODY, now=100)
    piece(arrival, BODY_BYTES_A_SECOND_MIN, now=101)
    assert arrival.deadline == 116
    piece(arrival, BODY_BYTES_MAX, now=102)
    assert arrival.deadline == 116


def test_a_whole_request_leaves_no_deadline() -> None:
    arrival = Arrival(LIMITS, 100)
    piece(arrival, 100, Phase.HEAD, Phase.BODY, Phase.IDLE, now=105)
    assert arrival.deadline == inf


def test_empty_lines_between_requests_start_the_time_of_a_head_and_do_not_renew_it() -> None:
    arrival = Arrival(LIMITS, 100)
    piece(arrival, 100, Phase.HEAD, Phase.BODY, Phase.IDLE, now=105)
    piece(arrival, 2, now=200, is_answering=True)
    assert arrival.deadline == inf
    piece(arrival, 2, now=210)
    piece(arrival, 2, now=215)
    assert arrival.deadline == 220


def test_a_head_is_too_large_with_all_its_pieces_together() -> None:
    arrival = Arrival(LIMITS, 100)
    piece(arrival, HEAD_BYTES_MAX * 2, Phase.HEAD, Phase.BODY, Phase.IDLE, Phase.HEAD, now=100, head_bytes=1)
    assert not arrival.is_too_large  # what stands before it belongs to another request
    piece(arrival, HEAD_BYTES_MAX - 1, now=100)
    assert not arrival.is_too_large
    piece(arrival, 1, now=100)
    assert arrival.is_too_large


def test_a_whole_head_is_measured_if_it_may_be_large() -> None:
    arrival = Arrival(LIMITS, 100)
    arrival.begin_piece(HEAD_BYTES_MAX)
    assert not arrival.may_be_large_head
    arrival.begin_piece(HEAD_BYTES_MAX + 1)
    assert arrival.may_be_large_head
    arrival.enter(Phase.HEAD)
    arrival.begin_piece(1)
    assert arrival.may_be_large_head


def test_a_body_is_too_large_with_everything_that_comes_on_the_wire() -> None:
    arrival = Arrival(LIMITS, 100)
    piece(arrival, 100, Phase.HEAD, Phase.BODY, now=100)
    piece(arrival, BODY_WIRE_BYTES_MAX, now=100)
    assert not arrival.is_too_large
    piece(arrival, 1, now=100)
    assert arrival.is_too_large
