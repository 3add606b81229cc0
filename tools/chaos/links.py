"""Links between processes, and what can be wrong with them. Several troubles may be on at once, and each ends by itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol

Direction = Literal["requests", "replies"]


@dataclass(frozen=True)
class Way:
    """What happens to the bytes of one direction."""

    delay_seconds: float = 0.0
    silent: bool = False  # a black hole: nothing gets through, not even the end of the connection
    flood: bool = False  # of interim answers (1xx) without end, to each request
    loss: float = 0.0  # the share of what comes that gets lost, and its connection with it


WHOLE = Way()


@dataclass(frozen=True, eq=False)
class Trouble:
    refuse: bool = False  # new connections
    requests: Way = WHOLE
    replies: Way = WHOLE


PARTITION = Trouble(requests=Way(silent=True), replies=Way(silent=True))


class Connection(Protocol):
    def flush(self) -> None: ...
    def reset(self) -> None: ...


class Link:
    """The connections of one process to one target, and their troubles."""

    def __init__(self) -> None:
        self.connections: set[Connection] = set()
        self._troubles: list[Trouble] = []

    @property
    def refuses(self) -> bool:
        return any(trouble.refuse for trouble in self._troubles)

    def way(self, direction: Direction) -> Way:
        ways: list[Way] = [getattr(trouble, direction) for trouble in self._troubles]
        if not ways:
            return WHOLE
        return Way(
            delay_seconds=max(way.delay_seconds for way in ways),
            silent=any(way.silent for way in ways),
            flood=any(way.flood for way in ways),
            loss=max(way.loss for way in ways),
        )

    def add(self, trouble: Trouble) -> None:
        self._troubles.append(trouble)

    def remove(self, trouble: Trouble) -> None:
        """Lets bytes that were held go on, if both ends are still there."""
        if trouble in self._troubles:
            self._troubles.remove(trouble)
        for connection in list(self.connections):
            connection.flush()

    def reset(self) -> None:
        """Ends what is open, as a router that has lost its state."""
        for connection in list(self.connections):
            connection.reset()

    def heal(self) -> None:
        for trouble in list(self._troubles):
            self.remove(trouble)

    @contextmanager
    def troubled(self, trouble: Trouble) -> Iterator[None]:
        self.add(trouble)
        try:
            yield
        finally:
            self.remove(trouble)
