"""Every struct that crosses between the two services. Amounts are whole minor units."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from shared.times import rfc3339

# Ids go into URLs and other ids, so they have only characters that are safe there.
Id = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]{1,255}\Z")]
Time = Annotated[datetime, msgspec.Meta(tz=True)]  # a time without a zone would be taken for local time
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


# Requests are remembered by their fingerprint. So a new field needs a default; otherwise a retry from before the upgrade
# would count as another request.
class ChargeRequest(_Wire, frozen=True, omit_defaults=True):
    """`POST /v1/charges`. `reference` is the merchant's own id of what is paid; `scenario` says how the mock misbehaves."""

    amount: int
    currency: str
    reference: str
    payment_method: str
    metadata: dict[str, str] = {}
    scenario: dict[str, Any] = {}


class Charge(_Wire, frozen=True):
    """A charge. `failureCode` says why it failed; `amountRefunded` includes pending refunds."""

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
    """A refund. `charge_reference` is the reference of the charge that it gives back."""

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
    """An address to which events are delivered: those of `eventTypes`, or all if that is empty. `disabledReason` says why it
    is disabled: it answered 410 (`gone`), every attempt since `failingSince` failed (`failing`), or the merchant wanted it.

    Each process of the gateway has at most `maxInFlight` deliveries to it under way. `headerNames` are the names of its own
    headers, whose values are never shown. It is deleted at `expiresAt`, unless that is null.
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
    """The members of every event. Decoded first, so that an unknown type can be told from garbage."""

    id: Id
    type: str
    timestamp: Time
    data: Any


class Event(_Wire, frozen=True):
    """An event of the provider. It is for encoding; to decode one, use EventEnvelope and then decode its data."""

    id: Id
    type: EventType
    timestamp: Time
    data: Charge | Refund | Dispute | WebhookEndpoint


class RawPage(_Wire, frozen=True):
    """A page of a list whose members keep the bytes in which they were sent."""

    data: list[msgspec.Raw]
    next_cursor: str | None = None


def encode(value: msgspec.Struct) -> bytes:
    """Encodes as JSON, with times as RFC 3339 in UTC with milliseconds."""
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
