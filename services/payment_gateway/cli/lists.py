"""What the gateway knows: charges, refunds, events, deliveries."""

import rich_click as click

from payment_gateway.cli.client import Gateway, Json
from payment_gateway.cli.options import ID, NAME, command, limit_option
from payment_gateway.cli.root import payment_gateway
from payment_gateway.cli.terminal import Terminal


@payment_gateway.group("charges")
def charges() -> None:
    """What was charged."""


@command(charges, "list")
@click.option("--reference", type=NAME, help="Only those with this reference of yours.")
@click.option("--status", type=click.Choice(["pending", "succeeded", "failed"]), help="Only these.")
@limit_option
def list_charges(gateway: Gateway, terminal: Terminal, reference: str | None, status: str | None, limit: int) -> None:
    """Charges, newest first."""
    page = gateway.list("/v1/charges", limit, reference=reference, status=status)
    rows = [
        [_at(one), one["id"], one["status"], _amount(one), one["reference"], one["failureCode"] or ""]
        for one in page["data"]
    ]
    terminal.table(page, ["AT", "CHARGE", "STATUS", "AMOUNT", "REFERENCE", "FAILURE"], rows)


@payment_gateway.group("refunds")
def refunds() -> None:
    """What was given back."""


@command(refunds, "list")
@click.option("--reference", type=NAME, help="Only those with this reference of yours.")
@limit_option
def list_refunds(gateway: Gateway, terminal: Terminal, reference: str | None, limit: int) -> None:
    """Refunds, newest first."""
    page = gateway.list("/v1/refunds", limit, reference=reference)
    rows = [
        [_at(one), one["id"], one["status"], _amount(one), one["chargeId"], one["failureCode"] or ""]
        for one in page["data"]
    ]
    terminal.table(page, ["AT", "REFUND", "STATUS", "AMOUNT", "CHARGE", "FAILURE"], rows)


@payment_gateway.group("events")
def events() -> None:
    """What happened to charges and refunds."""


@command(events, "list")
@click.option("--reference", type=NAME, help="Only those about the charge with this reference of yours.")
@click.option("--type", "event_type", type=NAME, help="Only these, such as payment.succeeded.")
@limit_option
def list_events(
    gateway: Gateway, terminal: Terminal, reference: str | None, event_type: str | None, limit: int
) -> None:
    """Events, newest first."""
    page = gateway.list("/v1/events", limit, reference=reference, type=event_type)
    rows = [
        [one["timestamp"], one["id"], one["type"], str(one["data"].get("id", "")), str(one["data"].get("amount", ""))]
        for one in page["data"]
    ]
    terminal.table(page, ["AT", "EVENT", "TYPE", "ABOUT", "AMOUNT"], rows)


@command(events, "resend")
@click.argument("event_id", type=ID)
@click.option("--endpoint", "endpoint_id", type=NAME, help="To this endpoint alone.")
def resend_event(gateway: Gateway, terminal: Terminal, event_id: str, endpoint_id: str | None) -> None:
    """Deliver an event again, now."""
    body = {"endpointId": endpoint_id} if endpoint_id else {}
    answer = gateway.call("POST", f"/v1/events/{event_id}/resend", body)
    terminal.result(answer, f"resent: {answer['resent']}")


@payment_gateway.group("deliveries")
def deliveries() -> None:
    """Events on their way to endpoints."""


@command(deliveries, "list")
@click.option("--event", "event_id", type=NAME, help="Only those of this event.")
@click.option("--endpoint", "endpoint_id", type=NAME, help="Only those to this endpoint.")
@click.option("--state", type=click.Choice(["pending", "delivered", "failed", "cancelled"]), help="Only these.")
@limit_option
def list_deliveries(
    gateway: Gateway,
    terminal: Terminal,
    event_id: str | None,
    endpoint_id: str | None,
    state: str | None,
    limit: int,
) -> None:
    """Deliveries, newest first, with what came of each attempt. --json shows when, how long, and the answers."""
    page = gateway.list("/v1/deliveries", limit, eventId=event_id, endpointId=endpoint_id, state=state)
    rows = [
        [
            _at(one),
            one["eventId"],
            one["endpointId"],
            one["state"],
            " ".join(str(attempt["status"] or "-") for attempt in one["attempts"]),
            one["nextAttemptAt"] or "",
        ]
        for one in page["data"]
    ]
    terminal.table(page, ["AT", "EVENT", "ENDPOINT", "STATE", "ATTEMPTS", "NEXT"], rows)


def _at(one: Json) -> str:
    return str(one["createdAt"])


def _amount(one: Json) -> str:
    """In minor units, as everywhere in the API."""
    return f"{one['amount']} {one['currency']}"
