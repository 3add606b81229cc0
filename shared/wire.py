"""Every struct that crosses between the two services. Amounts are whole minor units."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from shared.times import rfc3339

# Ids go into URLs and other ids, so they are what is safe there.
Id = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]{1,255}\Z")]
Time = Annotated[datetime, msgspec.Meta(tz=True)]  # without a zone it would be taken for local time
EventType = Literal[
    "payment.succeeded",
    "payment.failed",
    "refund.succeeded",
    "refund.failed",
    "dispute.created",
    "dispute.closed",
    "webhook_endpoint.disabled",
]
EndpointState = Literal["enabled", "disabled"]
DisabledReason = Literal["gone", "failing", "merchant"]
MoneyState = Literal["pending", "succeeded", "failed"]
DisputeState = Literal["open", "won", "lost"]


class _Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    pass


# Requests are remembered by their fingerprint: a field that is added needs a default, or a retry from before the upgrade
# would be another request.
class ChargeRequest(_Wire, frozen=True, omit_defaults=True):
    """`POST /v1/charges`. `reference` is the merchant's own id of what is paid; `scenario`, what the mock is to do wrong."""

    amount: int
    currency: str
    reference: str
    payment_method: str
    metadata: dict[str, str] = {}
    scenario: dict[str, Any] = {}


class Charge(_Wire, frozen=True):
    """A charge. `failureCode` says why it failed; `amountRefunded` counts refunds that are pending too."""

    id: Id
    amount: int
    currency: str
    reference: str
    status: MoneyState
    failure_code: str | None
    amount_refunded: int
    payment_method: str
    metadata: dict[str, str]
    created_at: Time
    settled_at: Time | None


class RefundRequest(_Wire, frozen=True, omit_defaults=True):
    """`POST /v1/charges/{id}/refunds`. `reference` is the merchant's own id of the refund."""

    amount: int
    reference: str
    scenario: dict[str, Any] = {}


class Refund(_Wire, frozen=True):
    """`charge_reference` is the reference of the charge that is refunded."""

    id: Id
    charge_id: Id
    charge_reference: str
    reference: str
    amount: int
    currency: str
    status: MoneyState
    failure_code: str | None
    created_at: Time
    settled_at: Time | None


class Dispute(_Wire, frozen=True):
    """A customer's bank takes `amount` of a charge from the merchant, who gets it back once the dispute is `won`."""

    id: Id
    charge_id: Id
    charge_reference: str
    amount: int
    currency: str
    reason: str
    status: DisputeState
    created_at: Time
    closed_at: Time | None


class WebhookEndpoint(_Wire, frozen=True):
    """Where events are delivered: those of `eventTypes`, or all if there are none. `disabledReason`: it answered 410
    (`gone`), every attempt since `failingSince` has failed (`failing`), or the merchant wanted it.

    No more than `maxInFlight` deliveries to it are under way at once, from each process of the gateway. `headerNames` are
    those of the headers of its own, whose values are never shown. At `expiresAt` it is deleted, unless that is null.
    """

    id: Id
    url: str
    event_types: list[EventType]
    state: EndpointState
    disabled_reason: DisabledReason | None
    failing_since: Time | None
    max_in_flight: int
    header_names: list[str]
    expires_at: Time | None
    created_at: Time


class EventEnvelope(_Wire, frozen=True):
    """What every event has. Decoded first, so that an event of an unknown type can be told from garbage."""

    id: Id
    type: str
    timestamp: Time
    data: Any


class Event(_Wire, frozen=True):
    """What the provider says happened. To be encoded; decoded as EventEnvelope, then its data."""

    id: Id
    type: EventType
    timestamp: Time
    data: Charge | Refund | Dispute | WebhookEndpoint


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
