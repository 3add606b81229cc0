"""What a mark is: an event that has happened to a charge, a refund or an endpoint, kept in its document until it has been
announced. Pure. C23
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Literal

import msgspec

from shared import wire


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """`id` and `raw` are those of the event, `object` is the id of what it is about, and `at` is when it happened. `to` are
    the endpoints that hear of it: those that wanted it when it had been found due.
    """

    id: str
    object: str
    type: wire.EventType
    fault: Literal["wrong_amount"] | None = None
    raw: str
    trace: str | None = None
    at: datetime
    to: tuple[str, ...] = ()


def without(marks: Iterable[Mark], ids: Collection[str]) -> tuple[Mark, ...]:
    """Those that are still to be announced when `ids` have been."""
    return tuple(mark for mark in marks if mark.id not in ids)
