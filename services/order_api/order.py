"""What an order is: facts that only grow, the calls that it asks of the provider, and a status derived from them. Pure."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from order_api.calls import Call, first_due
from order_api.facts import AmountMinor, Charge, Dispute, Refund, Review
from shared.idempotency import Key

Status = Literal["Pending", "Paid", "Failed", "Cancelled", "PartiallyRefunded", "Refunded"]
OrderId = Annotated[str, Meta(extra_json_schema={"pattern": "^ord_[0-9a-f]{32}$"})]
Currency = Annotated[str, Meta(extra_json_schema={"pattern": "^[A-Z]{3}$"})]
_NotEmpty = Meta(extra_json_schema={"minItems": 1})


class StatusChange(msgspec.Struct, frozen=True):
    status: Status
    at: datetime
    cause: str


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order as stored, one document: its facts, the calls it asks of the provider, and the idempotency keys of what was
    asked of it. Arrays are in order of arrival, and are compared as sets. `version` counts its writes. `cancelled_by` is the
    request that cancelled it.

    `reconcile_at` is when the provider is asked about it next, None while there is nothing to ask. `asks_left` is how many
    more answers of the provider are needed before the facts count as complete. `due_at` follows from the calls.
    """

    id: OrderId = msgspec.field(name="_id")
    merchant: str
    order_number: str
    amount_minor: AmountMinor
    currency: Currency
    exponent: int
    payment_method: str
    metadata: dict[str, str] = {}
    status: Status = "Pending"
    charges: tuple[Charge, ...] = ()
    refunds: tuple[Refund, ...] = ()
    disputes: tuple[Dispute, ...] = ()
    cancelled_at: datetime | None = None
    cancelled_by: str | None = None
    reviews: tuple[Review, ...] = ()
    history: Annotated[tuple[StatusChange, ...], _NotEmpty] = ()
    keys: tuple[Key, ...] = ()
    calls: Annotated[tuple[Call, ...], _NotEmpty] = ()
    due_at: datetime | None = None
    reconcile_at: datetime | None = None
    reconcile_attempts: int = 0
    asks_left: int = 0
    version: int = 1
    trace: str | None = None
    created_at: datetime
    updated_at: datetime

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "due_at", first_due(self.calls))


def attempts(order: Order) -> list[Call]:
    """The payment attempts, in the order they were made. Each is a charge call with a reference of its own."""
    return [call for call in order.calls if call.kind == "charge"]


def attempt_reference(order_id: str, number: int) -> str:
    """The reference of the `number`-th attempt, counted from 1: the order's id, then `ord_….2` and so on."""
    return order_id if number == 1 else f"{order_id}.{number}"


def order_of(reference: str) -> str:
    """The id of the order that an attempt's reference belongs to."""
    return reference.partition(".")[0]


def charges_of(order: Order, attempt: Call) -> list[Charge]:
    """The charges that the provider has made under an attempt's reference. One attempt may have two charges."""
    return [charge for charge in order.charges if (charge.reference or order.id) == attempt.reference]
