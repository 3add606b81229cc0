"""The answer of both services where a client names a thing that is not there."""

from msgspec import Struct


class NotFound(Struct, frozen=True):
    """There is no such thing, or it belongs to another merchant. `what` is its kind, such as "order"."""

    what: str
