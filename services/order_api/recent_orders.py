"""Orders as this process wrote them last, so that a change that follows at once needs no read."""

import time
from collections import OrderedDict

from order_api.order import Order
from shared.mongo import Document, to_document
from shared.times import utc_now

ORDERS_MAX = 2048  # some 10 MB
SECONDS = 5.0  # later on, another process may have changed the order, and then a change without a read only misses


class RecentOrders:
    """An order may have changed since. So only a write that compares versions may rest on it. C3"""

    def __init__(self) -> None:
        self._written: OrderedDict[str, tuple[Order, float]] = OrderedDict()

    def note(self, order: Order) -> None:
        """Keeps the order, which a majority has acknowledged."""
        now = time.monotonic()
        self._written[order.id] = order, now + SECONDS
        self._written.move_to_end(order.id)
        while len(self._written) > ORDERS_MAX or next(iter(self._written.values()))[1] < now:
            self._written.popitem(last=False)

    def read(self, order_id: str) -> Document | None:
        """The order as stored, with our own time in `read_at`. None if we have not written it lately."""
        order, until = self._written.get(order_id, (None, 0.0))
        if order is None or until < time.monotonic():
            return None
        return {**to_document(order), "read_at": utc_now()}
