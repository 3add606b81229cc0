"""Every struct that crosses between the two services. Amounts are whole minor units."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from shared.times import rfc3339

# Ids go into URLs and other ids, so they have only characters that are safe there.
Id = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_-]{1,255}\Z")]
Time = Annotated[datetime, Meta(tz=True)]  # a time without a zone would be taken for local time
# These carry the example of the OpenAPI documents, so that it is the same charge in all of them.
ChargeId = Annotated[Id, Meta(examples=["ch_01a209e9aade7799afdccfd98db8e668"])]
Reference = Annotated[str, Meta(examples=["ord_01a209e9aac873d8b2de2b8cece39e02"])]
Currency = Annotated[str, Meta(examples=["USD"])]
Url = Annotated[str, Meta(examples=["https://shop.example/hooks"])]
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

    id: ChargeId
    amount: Annotated[int, Meta(examples=[9999])]
    currency: Currency
    reference: Reference
    status: Annotated[MoneyState, Meta(examples=["succeeded"])]
    failure_code: str | None
    amount_refunded: Annotated[int, Meta(examples=[0])]
    payment_method: Annotated[str, Meta(examples=["pm_card_visa"])]
    metadata: dict[str, str]
    created_at: Annotated[Time, Meta(examples=["2026-11-23T19:37:18.290Z"])]
    settled_at: Annotated[Time | None, Meta(examples=["2026-11-23T19:37:23.370Z"])]


class RefundRequest(_Wire, frozen=True, omit_defaults=True):
    """`POST /v1/charges/{id}/refunds`. `reference` is the merchant's own id of the refund."""

    amount: int
    reference: str
    scenario: dict[str, Any] = {}


class Refund(_Wire, frozen=True):
    """A refund. `charge_reference` is the reference of the charge that it gives back."""

    id: Annotated[Id, Meta(examples=["re_01a209e9d1c47a05b3dd41f2f3a7be9c"])]
    charge_id: ChargeId
    charge_reference: Reference
    reference: Annotated[str, Meta(examples=["refund-7"])]
    amount: Annotated[int, Meta(examples=[1000])]
    currency: Currency
    status: Annotated[MoneyState, Meta(examples=["succeeded"])]
    failure_code: str | None
    created_at: Annotated[Time, Meta(examples=["2026-11-23T19:40:02.104Z"])]
    settled_at: Annotated[Time | None, Meta(examples=["2026-11-23T19:40:07.180Z"])]


class Dispute(_Wire, frozen=True):
    """A customer's bank takes `amount` of a charge from the merchant, who gets it back once the dispute is `won`."""

    id: Annotated[Id, Meta(examples=["dp_01a209e9e2b87bd2a6f1c09d7be4f305"])]
    charge_id: ChargeId
    charge_reference: Reference
    amount: Annotated[int, Meta(examples=[8999])]
    currency: Currency
    reason: Annotated[str, Meta(examples=["fraudulent"])]
    status: Annotated[DisputeState, Meta(examples=["open"])]
    created_at: Annotated[Time, Meta(examples=["2026-11-23T20:15:28.450Z"])]
    closed_at: Time | None


class WebhookEndpoint(_Wire, frozen=True):
    """An address to which events are delivered: those of `eventTypes`, or all if that is empty. `disabledReason` says why it
    is disabled: it answered 410 (`gone`), every attempt since `failingSince` failed (`failing`), or the merchant wanted it.

    Each process of the gateway has at most `maxInFlight` deliveries to it under way. `headerNames` are the names of its own
    headers, whose values are never shown. It is deleted at `expiresAt`, unless that is null.
    """

    id: Annotated[Id, Meta(examples=["we_01a209e9f3b07c21a9d54be0a3c1d7f4"])]
    url: Url
    event_types: Annotated[list[EventType], Meta(examples=[["payment.succeeded", "payment.failed"]])]
    state: Annotated[EndpointState, Meta(examples=["enabled"])]
    disabled_reason: DisabledReason | None
    failing_since: Time | None
    max_in_flight: Annotated[int, Meta(examples=[64])]
    header_names: Annotated[list[str], Meta(examples=[["X-Gateway-Token"]])]
    expires_at: Time | None
    created_at: Annotated[Time, Meta(examples=["2026-11-23T19:30:00.000Z"])]


class EventEnvelope(_Wire, frozen=True):
    """The members of every event. Decoded first, so that an unknown type can be told from garbage."""

    id: Annotated[Id, Meta(examples=["evt_01a209e9aade7ffe862f26fa1fb6b5a0"])]
    type: Annotated[str, Meta(examples=["payment.succeeded"])]
    timestamp: Annotated[Time, Meta(examples=["2026-11-23T19:37:23.370Z"])]
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
