"""How a request arrives: which part of it comes now, how much of that has come, and until when the rest must come. Pure."""

import math
from enum import IntEnum

from shared.edge.limits import BODY_BYTES_A_SECOND_MIN, BODY_BYTES_MAX, BODY_WIRE_BYTES_MAX, HEAD_BYTES_MAX, HttpLimits


class Phase(IntEnum):
    IDLE = 0  # nothing of a next request has come
    HEAD = 1
    BODY = 2


class Arrival:
    """The requests of one connection, one after the other. Their bytes come in pieces: each is announced by `begin_piece`,
    the parser calls `enter`, and `end_piece` counts. `now` is by the clock of the event loop.
    """

    def __init__(self, limits: HttpLimits, now: float) -> None:
        self._seconds = {
            Phase.IDLE: math.inf,
            Phase.HEAD: limits.http_head_seconds,
            Phase.BODY: limits.http_body_seconds,
        }
        self.phase = Phase.IDLE
        self.deadline = now + self._seconds[Phase.HEAD]  # a new connection must soon send its first request
        self._bytes = 0  # received in the present phase
        self._piece_bytes = 0
        self._has_moved_on = False  # to another phase, within the present piece
        self._head_is_split = False  # it began in an earlier piece

    def begin_piece(self, size: int) -> None:
        self._piece_bytes = size
        self._has_moved_on = False
        self._head_is_split = self.phase is Phase.HEAD

    def enter(self, phase: Phase) -> None:
        self.phase = phase
        self._has_moved_on = True

    @property
    def has_begun_head(self) -> bool:
        """Whether the piece ends within a head that began in it."""
        return self._has_moved_on and self.phase is Phase.HEAD

    @property
    def may_be_large_head(self) -> bool:
        """Whether the present head needs to be measured. One that came whole in a small piece cannot be too large."""
        return self._head_is_split or self._piece_bytes > HEAD_BYTES_MAX

    def end_piece(self, now: float, *, head_bytes: int, is_answering: bool) -> None:
        """Counts the piece and sets the deadline. `head_bytes` is the size of a head that began in the piece: other requests
        may stand before it. `is_answering` says whether an earlier request is still being answered.
        """
        if self._has_moved_on:
            self.renew_deadline(now)
            self._bytes = head_bytes
            return
        self._bytes += self._piece_bytes
        if self.phase is Phase.BODY and self._bytes <= BODY_BYTES_MAX:  # slow but steady: more time
            self.deadline += self._piece_bytes / BODY_BYTES_A_SECOND_MIN
        elif self.phase is Phase.IDLE and not is_answering:  # empty lines, which have stopped uvicorn's own timer
            self.deadline = min(self.deadline, now + self._seconds[Phase.HEAD])

    @property
    def is_too_large(self) -> bool:
        return (self.phase is Phase.HEAD and self._bytes > HEAD_BYTES_MAX) or (
            self.phase is Phase.BODY and self._bytes > BODY_WIRE_BYTES_MAX
        )

    def renew_deadline(self, now: float) -> None:
        """Gives the client the whole time for the present phase, from now on."""
        self.deadline = now + self._seconds[self.phase]
