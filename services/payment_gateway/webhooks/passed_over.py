"""Documents that could not be worked on. Each is passed over for a while, so that it holds up no other. Only this process
remembers them; another one tries each once. C23: a charge that cannot be settled stops no other.
"""

import time

MAX = 100  # in one query
PAUSE_SECONDS = 5.0  # doubled each time
PAUSE_SECONDS_MAX = 3600.0


class PassedOver:
    def __init__(self) -> None:
        self._until: dict[str, tuple[float, float]] = {}  # by id: when it is tried again, and the pause until then

    def add(self, document_id: str) -> None:
        """Passes it over, for longer each time. If there are more than MAX, the oldest is forgotten and so tried again."""
        _, pause = self._until.pop(document_id, (0.0, PAUSE_SECONDS / 2))
        pause = min(pause * 2, PAUSE_SECONDS_MAX)
        self._until[document_id] = (time.monotonic() + pause, pause)
        if len(self._until) > MAX:
            del self._until[next(iter(self._until))]

    def ids(self) -> list[str]:
        """The ids that are not to be tried now."""
        now = time.monotonic()
        return [document_id for document_id, (until, _) in self._until.items() if until > now]
