"""Every struct that crosses between the two services. Amounts are whole minor units."""

from datetime import datetime
from typing import Any, Literal

import msgspec

from shared.times import rfc3339

EventType = Literal["payment.succeeded", "payment.failed", "refund.succeeded", "refund.failed"]
MoneyState = Literal["pending", "succeeded", "failed"]


class _Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class ChargeRequest(_Wire, frozen=True):
    """`POST /v1/charges`. `reference` is the merchant's own id of what is paid."""

    amount: int
    currency: str
    reference: str
    payment_method: str
    metadata: dict[str, str] = {}


class Charge(_Wire, frozen=True):
    id: str
    amount: int
    currency: str
    reference: str
    status: MoneyState
    failure_code: str | None
    amount_refunded: int
    payment_method: str
    metadata: dict[str, str]
    created_at: datetime
    settled_at: datetime | None


class RefundRequest(_Wire, frozen=True):
    """`POST /v1/charges/{id}/refunds`. `reference` is the merchant's own id of the refund."""

    amount: int
    reference: str


class Refund(_Wire, frozen=True):
    """`charge_reference` is the reference of the charge that is refunded."""

    id: str
    charge_id: str
    charge_reference: str
    reference: str
    amount: int
    currency: str
    status: MoneyState
    failure_code: str | None
    created_at: datetime
    settled_at: datetime | None


class EventEnvelope(_Wire, frozen=True):
    """What every event has. Decoded first, so that an event of an unknown type can be told from garbage."""

    id: str
    type: str
    timestamp: datetime
    data: msgspec.Raw


class Event(_Wire, frozen=True):
    """What the provider says happened to a charge or a refund."""

    id: str
    type: EventType
    timestamp: datetime
    data: Charge | Refund


class RawPage(_Wire, frozen=True):
    """A page of a list whose members are kept as the bytes they were sent as."""

    data: list[msgspec.Raw]
    next_cursor: str | None = None


def encode(value: msgspec.Struct) -> bytes:
    """As JSON, with times as RFC 3339 in UTC with milliseconds."""
    return msgspec.json.encode(_with_times(msgspec.to_builtins(value, builtin_types=(datetime,))))


def _with_times(value: Any) -> Any:
    match value:
        case datetime():
            return rfc3339(value)
        case dict():
            return {name: _with_times(member) for name, member in value.items()}
        case list():
            return [_with_times(member) for member in value]
    return value
