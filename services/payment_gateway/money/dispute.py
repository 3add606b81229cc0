"""A dispute: the bank of a customer takes back what a charge has paid. Pure."""

from datetime import datetime
from typing import Literal

import msgspec
from msgspec.structs import replace

from shared import wire

REASON = "fraudulent"  # the most frequent reason of customers


class Dispute(msgspec.Struct, frozen=True, kw_only=True):
    """A dispute as stored in its charge, in minor units of the charge's currency. Until it opens at `opens_at`, it is
    `waiting`: it has no `created_at`, counts for nothing, and is shown to nobody.
    """

    id: str
    amount: int
    reason: str = REASON
    status: Literal["waiting"] | wire.DisputeState = "waiting"
    opens_at: datetime
    created_at: datetime | None = None
    closed_at: datetime | None = None

    @property
    def amount_taken(self) -> int:
        """The amount that the merchant does not have now; a won dispute has given it back."""
        return self.amount if self.status in {"open", "lost"} else 0


def opened(waiting: Dispute, left: int, *, now: datetime) -> Dispute | None:
    """The dispute once open, for at most what is `left` of its charge; None if nothing is left."""
    if waiting.status != "waiting":
        raise AssertionError(f"opened twice: {waiting.id}")
    return replace(waiting, status="open", amount=min(waiting.amount, left), created_at=now) if left else None


def closed(dispute: Dispute, outcome: Literal["won", "lost"], *, now: datetime) -> Dispute:
    """The dispute after its end."""
    if dispute.status != "open":
        raise AssertionError(f"closed twice: {dispute.id}")
    return replace(dispute, status=outcome, closed_at=now)
