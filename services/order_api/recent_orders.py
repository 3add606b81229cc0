"""Orders as this process wrote them last, so that a change that follows at once needs no read."""

import sys
import time
from collections import OrderedDict

from order_api.order import Order
from shared.mongo import Document, to_document
from shared.server_clock import ServerClock

ORDERS_MAX = 1024
ANSWERS_BYTES_MAX = 8192  # of an order that is kept, in the answers to its requests: some 20 MB in all, usually 3
HISTORY_MAX = 20
SECONDS = 5.0  # after this, another process has probably changed it, and a write that rests on our copy would only miss


class RecentOrders:
    """An order may have changed since. So only a write that compares versions may rest on it. C3"""

    def __init__(self, clock: ServerClock) -> None:
        self._clock = clock
        self._written: OrderedDict[str, tuple[Order, float]] = OrderedDict()

    def note(self, order: Order) -> None:
        """Keeps the order, which a majority has acknowledged, unless it is large."""
        self._written.pop(order.id, None)
        now = time.monotonic()
        answers_bytes = sum(sys.getsizeof(key.body) for key in order.keys)  # one emoji makes all characters four bytes
        if len(order.history) <= HISTORY_MAX and answers_bytes <= ANSWERS_BYTES_MAX:
            self._written[order.id] = order, now + SECONDS
        while self._written and (len(self._written) > ORDERS_MAX or next(iter(self._written.values()))[1] < now):
            self._written.popitem(last=False)

    def read(self, order_id: str) -> Document | None:
        """The order as stored, with the server's time in `read_at`. None if we have not written it lately."""
        order, until = self._written.get(order_id, (None, 0.0))
        now = self._clock.now()
        if order is None or now is None or until < time.monotonic():
            return None
        return {**to_document(order), "read_at": now}
