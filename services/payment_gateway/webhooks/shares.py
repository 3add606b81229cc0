"""How many deliveries of one endpoint may be under way at once, so that slow ones never hold up the others. Pure.

The rule is a dynamic threshold: an endpoint may hold a third of as many slots as are free. One that hangs gets a quarter of
all; of k that hang each gets 1/(k + 3), and 3/(k + 3) stay free for the rest, however large their backlogs. Where they
begin to hang one after the other, (3/4)^k stay free until the first attempts have timed out; with as many as are free it
would be (1/2)^k, next to nothing.
"""

from collections import Counter
from collections.abc import Iterable

FREE_PER_HELD = 3


class Shares:
    """Slots by endpoint, as they are held."""

    def __init__(self, held: Counter[str] | None = None) -> None:
        self._held = Counter(held)

    def hold(self, endpoint_id: str) -> None:
        self._held[endpoint_id] += 1

    def give_back(self, endpoint_id: str) -> None:
        self._held[endpoint_id] -= 1
        if not self._held[endpoint_id]:
            del self._held[endpoint_id]

    def full(self, free: int) -> list[str]:
        """Who may have none of `free` slots."""
        return [endpoint_id for endpoint_id, held in self._held.items() if held * FREE_PER_HELD >= free]

    def fill(self, endpoint_ids: Iterable[str], free: int) -> list[bool]:
        """Holds a slot for each that may have one, in order, and says for which."""
        taken = []
        for endpoint_id in endpoint_ids:
            taken.append(self._held[endpoint_id] * FREE_PER_HELD < free)
            if taken[-1]:
                self.hold(endpoint_id)
                free -= 1
        return taken

    def copy(self) -> "Shares":
        """To try something out on."""
        return Shares(self._held)
