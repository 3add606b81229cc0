"""How many deliveries of one endpoint may be under way at once, so that slow ones never hold up the others. Pure.

The rule is a dynamic threshold: an endpoint may hold a third as many slots as are free. One that hangs gets a quarter of all
slots. Of k that hang, each gets 1/(k + 3), and 3/(k + 3) stay free for the rest, however large their backlogs. If they begin
to hang one after the other, (3/4)^k stay free until the first attempts time out. If an endpoint could hold as many as are
free, it would be (1/2)^k, next to nothing.

An endpoint may also have a bound of its own, which counts if it is less.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

FREE_PER_HELD = 3


class Shares:
    """The slots that each endpoint holds. `given_back` counts those that were returned."""

    def __init__(self, held: Counter[str] | None = None) -> None:
        self._held = Counter(held)
        self._bounds: dict[str, int] = {}
        self.given_back = 0

    def hold(self, endpoint_id: str) -> None:
        self._held[endpoint_id] += 1

    def take(self, endpoint_id: str, free: int, bound: int) -> bool:
        """Holds one of `free` slots for that endpoint, if it may have one and its own `bound` allows it."""
        self.bound({endpoint_id: bound})
        return self.fill([endpoint_id], free)[0]

    def give_back(self, endpoint_id: str) -> None:
        self._held[endpoint_id] -= 1
        self.given_back += 1
        if not self._held[endpoint_id]:
            del self._held[endpoint_id]
            self._bounds.pop(endpoint_id, None)

    def holders(self) -> list[str]:
        """The endpoints that hold any slot."""
        return list(self._held)

    def bound(self, bounds: Mapping[str, int]) -> None:
        """Sets the endpoints' own bounds."""
        self._bounds.update(bounds)

    def full(self, free: int) -> list[str]:
        """The endpoints that already use their full share, when `free` slots are left."""
        return [endpoint_id for endpoint_id in self._held if not self._may_have(endpoint_id, free)]

    def fill(self, endpoint_ids: Iterable[str], free: int) -> list[bool]:
        """Holds a slot for each that may have one, in order. Returns for each whether it got one."""
        taken = []
        for endpoint_id in endpoint_ids:
            taken.append(self._may_have(endpoint_id, free))
            if taken[-1]:
                self.hold(endpoint_id)
                free -= 1
        return taken

    def _may_have(self, endpoint_id: str, free: int) -> bool:
        held = self._held[endpoint_id]
        return held * FREE_PER_HELD < free and held < self._bounds.get(endpoint_id, held + 1)

    def copy(self) -> "Shares":
        """A copy, for trying something out."""
        return Shares(self._held)
