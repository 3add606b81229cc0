"""Events on their way to endpoints: the list of deliveries, and the requests and answers of each."""

from collections.abc import Iterator
from typing import Any

import rich_click as click
from rich.text import Text

from payment_gateway.cli.client import Gateway, Json
from payment_gateway.cli.options import ID, NAME, command, paged
from payment_gateway.cli.root import payment_gateway
from payment_gateway.cli.show_list import show_list
from payment_gateway.cli.terminal import Columns, Terminal, visible, word


@payment_gateway.group("deliveries")
def deliveries() -> None:
    """Events on their way to endpoints."""


@command(deliveries, "list")
@click.option("--event", "eventId", type=NAME, help="Only those of this event.")
@click.option("--endpoint", "endpointId", type=NAME, help="Only those to this endpoint.")
@click.option("--reference", type=NAME, help="Only those of events about the charge with this reference of yours.")
@click.option(
    "--state", type=click.Choice(["pending", "failing", "delivered", "failed", "cancelled"]), help="Only these."
)
@paged
def list_deliveries(gateway: Gateway, terminal: Terminal, **asked: Any) -> None:
    """Deliveries, newest first, with the result of each attempt. --json shows times, durations and answers."""
    columns: Columns = {
        "AT": "createdAt",
        "DELIVERY": "id",
        "EVENT": "eventId",
        "ENDPOINT": "endpointId",
        "STATE": "state",
        "ATTEMPTS": lambda one: " ".join(str(attempt["status"] or "-") for attempt in one["attempts"]),
        "NEXT": "nextAttemptAt",
    }
    show_list(gateway, terminal, "/v1/deliveries", columns, **asked)


@command(deliveries, "show")
@click.argument("delivery_id", type=ID)
def show_delivery(gateway: Gateway, terminal: Terminal, delivery_id: str) -> None:
    """Show one delivery: for each attempt its URL, the headers that were sent, and the answer."""
    found = gateway.get(f"/v1/deliveries/{delivery_id}")
    about = f"  {found['eventType'] or ''}  {found['eventId']}  to {found['endpointId']}"
    due = f"  next at {found['nextAttemptAt']}" if found["nextAttemptAt"] else ""
    attempts = [line for attempt in found["attempts"] for line in _attempt_lines(attempt)]
    terminal.result(found, Text.assemble(word(found["state"]), visible(about + due)), *attempts)


@command(deliveries, "request")
@click.argument("delivery_id", type=ID)
@click.option("--attempt", type=click.IntRange(1), help="Which one; without it, the last.")
def show_request(gateway: Gateway, terminal: Terminal, delivery_id: str, attempt: int | None) -> None:
    """Print the body that was sent, byte for byte, as it was signed."""
    terminal.raw(gateway.get_bytes(f"/v1/deliveries/{delivery_id}/request", attempt=attempt))


def _attempt_lines(attempt: Json) -> Iterator[str]:
    forged = f"  ({attempt['forgery']})" if attempt["forgery"] else ""
    status = attempt["status"] or "no answer"
    yield f"attempt {attempt['number']}  {attempt['at']}  {status} in {attempt['durationMs']} ms{forged}"
    sent = [f"POST {attempt['url'] or ''}", *_header_lines(attempt["sentHeaders"])]
    answered = [*_header_lines(attempt["responseHeaders"]), *attempt["responseBody"].splitlines()]
    error = [attempt["error"]] if attempt["error"] else []
    yield from (visible(f"  > {line}") for line in sent)
    yield from (visible(f"  < {line}") for line in answered)
    yield from (visible(f"  ! {line}") for line in error)


def _header_lines(headers: dict[str, str] | None) -> list[str]:
    return [f"{name}: {value}" for name, value in (headers or {}).items()]
