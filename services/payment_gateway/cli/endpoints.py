"""Where the gateway delivers to."""

from datetime import UTC, datetime, timedelta

import rich_click as click

from payment_gateway.cli.client import Gateway
from payment_gateway.cli.options import DURATION, HTTP_URL, ID, WORDS, command, limit_option
from payment_gateway.cli.root import payment_gateway
from payment_gateway.cli.terminal import Terminal


@payment_gateway.group("endpoints")
def endpoints() -> None:
    """Where events are delivered."""


@command(endpoints, "list")
@limit_option
def list_endpoints(gateway: Gateway, terminal: Terminal, limit: int) -> None:
    """Webhook endpoints, newest first."""
    page = gateway.list("/v1/webhook-endpoints", limit)
    rows = [[one["id"], one["state"], one["url"], " ".join(one["eventTypes"]) or "all"] for one in page["data"]]
    terminal.table(page, ["ENDPOINT", "STATE", "URL", "EVENTS"], rows)


@command(endpoints, "add")
@click.argument("endpoint_url", type=HTTP_URL)
@click.option("--events", "event_types", type=WORDS, default="", help="Only these types; without it, all.")
@click.option("--secret", help="Sign with this one; without it, one is made.")
def add_endpoint(
    gateway: Gateway, terminal: Terminal, endpoint_url: str, event_types: list[str], secret: str | None
) -> None:
    """Have events delivered to ENDPOINT_URL. Prints the secret, which is shown only now."""
    body = {"url": endpoint_url, "eventTypes": event_types, **({"secret": secret} if secret else {})}
    answer = gateway.create("/v1/webhook-endpoints", body, again=terminal.say)
    terminal.result(answer, f"{answer['id']}  {answer['secret']}")


@command(endpoints, "remove")
@click.argument("endpoint_id", type=ID)
def remove_endpoint(gateway: Gateway, terminal: Terminal, endpoint_id: str) -> None:
    """Deliver there no more."""
    gateway.call("DELETE", f"/v1/webhook-endpoints/{endpoint_id}")
    terminal.result({"id": endpoint_id}, "removed")


@command(endpoints, "enable")
@click.argument("endpoint_id", type=ID)
def enable_endpoint(gateway: Gateway, terminal: Terminal, endpoint_id: str) -> None:
    """Deliver to a disabled one again."""
    answer = gateway.call("PATCH", f"/v1/webhook-endpoints/{endpoint_id}", {"state": "enabled"})
    terminal.result(answer, answer["state"])


@command(endpoints, "rotate")
@click.argument("endpoint_id", type=ID)
@click.option("--overlap", type=DURATION, default="24h", show_default=True, help="How long both secrets sign.")
@click.option("--secret", help="The new one; without it, one is made.")
def rotate_secret(gateway: Gateway, terminal: Terminal, endpoint_id: str, overlap: int, secret: str | None) -> None:
    """Change an endpoint's secret. Prints the new one, which is shown only now."""
    body = {"overlapSeconds": overlap, **({"secret": secret} if secret else {})}
    answer = gateway.create(f"/v1/webhook-endpoints/{endpoint_id}/rotate-secret", body, again=terminal.say)
    terminal.result(answer, str(answer["secret"]))


@command(endpoints, "resend")
@click.argument("endpoint_id", type=ID)
@click.option("--since", type=DURATION, required=True, help="How far back, such as 2h.")
def resend_to_endpoint(gateway: Gateway, terminal: Terminal, endpoint_id: str, since: int) -> None:
    """Deliver everything again, now, that was not delivered since then."""
    clock = gateway.get_test("/v1/test/clock")
    now = datetime.fromisoformat(clock["now"]) if clock else datetime.now(UTC)
    body = {"since": (now - timedelta(seconds=since)).isoformat()}
    answer = gateway.call("POST", f"/v1/webhook-endpoints/{endpoint_id}/resend", body)
    terminal.result(answer, f"resent: {answer['resent']}")
