"""Lists of the gateway's charges, refunds, disputes and events. Options have the names of the API's parameters."""

from typing import Any

import rich_click as click

from payment_gateway.cli.client import Gateway, Json
from payment_gateway.cli.options import ID, NAME, command, paged
from payment_gateway.cli.root import payment_gateway
from payment_gateway.cli.show_list import show_list
from payment_gateway.cli.terminal import Columns, Terminal


@payment_gateway.group("charges")
def charges() -> None:
    """Look at charges."""


@command(charges, "list")
@click.option("--reference", type=NAME, help="Only those with this reference of yours.")
@click.option("--status", type=click.Choice(["pending", "succeeded", "failed"]), help="Only these.")
@paged
def list_charges(gateway: Gateway, terminal: Terminal, **asked: Any) -> None:
    """Charges, newest first."""
    columns: Columns = {
        "AT": "createdAt",
        "CHARGE": "id",
        "STATUS": "status",
        "AMOUNT": _amount,
        "REFERENCE": "reference",
        "FAILURE": "failureCode",
    }
    show_list(gateway, terminal, "/v1/charges", columns, **asked)


@payment_gateway.group("refunds")
def refunds() -> None:
    """Look at refunds."""


@command(refunds, "list")
@click.option("--reference", type=NAME, help="Only those with this reference of yours.")
@paged
def list_refunds(gateway: Gateway, terminal: Terminal, **asked: Any) -> None:
    """Refunds, newest first."""
    columns: Columns = {
        "AT": "createdAt",
        "REFUND": "id",
        "STATUS": "status",
        "AMOUNT": _amount,
        "CHARGE": "chargeId",
        "FAILURE": "failureCode",
    }
    show_list(gateway, terminal, "/v1/refunds", columns, **asked)


@payment_gateway.group("disputes")
def disputes() -> None:
    """Look at disputes, in which a customer's bank takes money back."""


@command(disputes, "list")
@click.option("--reference", type=NAME, help="Only those of the charge with this reference of yours.")
@paged
def list_disputes(gateway: Gateway, terminal: Terminal, **asked: Any) -> None:
    """Disputes, newest first."""
    columns: Columns = {
        "AT": "createdAt",
        "DISPUTE": "id",
        "STATUS": "status",
        "AMOUNT": _amount,
        "CHARGE": "chargeId",
        "REASON": "reason",
    }
    show_list(gateway, terminal, "/v1/disputes", columns, **asked)


@payment_gateway.group("events")
def events() -> None:
    """Look at events, or deliver one again."""


@command(events, "list")
@click.option("--reference", type=NAME, help="Only those about the charge with this reference of yours.")
@click.option("--type", type=NAME, help="Only these, such as payment.succeeded.")
@click.option("--delivered", type=click.Choice(["true", "false"]), help="Only those that were delivered, or were not.")
@paged
def list_events(gateway: Gateway, terminal: Terminal, **asked: Any) -> None:
    """Events, newest first."""
    columns: Columns = {
        "AT": "timestamp",
        "EVENT": "id",
        "TYPE": "type",
        "ABOUT": lambda one: str(one["data"].get("id", "")),
        "AMOUNT": lambda one: str(one["data"].get("amount", "")),
    }
    show_list(gateway, terminal, "/v1/events", columns, **asked)


@command(events, "resend")
@click.argument("event_id", type=ID)
@click.option("--endpoint", "endpoint_id", type=NAME, help="To this endpoint alone.")
@click.option(
    "--forgery",
    type=click.Choice(["bad_signature", "stale_timestamp", "tampered_body", "retired_secret"]),
    help="Send this forgery first, and the true event after it.",
)
def resend_event(
    gateway: Gateway, terminal: Terminal, event_id: str, endpoint_id: str | None, forgery: str | None
) -> None:
    """Deliver an event again, now."""
    asked = {"endpointId": endpoint_id, "forgery": forgery}
    body = {name: value for name, value in asked.items() if value}
    answer = gateway.call("POST", f"/v1/events/{event_id}/resend", body)
    terminal.result(answer, f"resent: {answer['resent']}")


def _amount(one: Json) -> str:
    """The amount in minor units, as everywhere in the API."""
    return f"{one['amount']} {one['currency']}"
