"""How many deliveries of one endpoint may be under way at once, so that slow ones never hold up the others. Pure.

The rule is that of a dynamic threshold: an endpoint may hold no more slots than are free. One that hangs gets half of them;
k that hang get 1/(k+1) each, and as much stays free for the rest, however large their backlogs.
"""

from collections import Counter
from collections.abc import Iterable


class Shares:
    """Slots by endpoint, as they are held."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()

    def hold(self, endpoint_id: str) -> None:
        self._held[endpoint_id] += 1

    def give_back(self, endpoint_id: str) -> None:
        self._held[endpoint_id] -= 1
        if not self._held[endpoint_id]:
            del self._held[endpoint_id]

    def full(self, free: int) -> list[str]:
        """Who may have none of `free` slots."""
        return [endpoint_id for endpoint_id, held in self._held.items() if held >= free]

    def fill(self, endpoint_ids: Iterable[str], free: int) -> list[bool]:
        """Holds a slot for each that may have one, in order, and says for which."""
        taken = []
        for endpoint_id in endpoint_ids:
            taken.append(self._held[endpoint_id] < free)
            if taken[-1]:
                self.hold(endpoint_id)
                free -= 1
        return taken

    def copy(self) -> "Shares":
        """To try something out on."""
        other = Shares()
        other._held = self._held.copy()
        return other
