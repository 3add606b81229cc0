"""What an invariant yields."""

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias


class Finding(NamedTuple):
    """One thing that is not as it must be, and the order whose story shows it, if it is one's."""

    detail: str
    order_id: str | None = None


Findings: TypeAlias = Iterator[Finding]
