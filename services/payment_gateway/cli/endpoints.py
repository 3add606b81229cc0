"""Where the gateway delivers to, and `listen`, which is such a place."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

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
    terminal.table(
        page, ENDPOINT="id", STATE="state", URL="url", EVENTS=lambda one: " ".join(one["eventTypes"]) or "all"
    )


@command(endpoints, "add")
@click.argument("endpoint_url", type=HTTP_URL)
@click.option("--events", "event_types", type=WORDS, default="", help="Only these types; without it, all.")
@click.option("--secret", help="Sign with this one; without it, one is made.")
def add_endpoint(
    gateway: Gateway, terminal: Terminal, endpoint_url: str, event_types: list[str], secret: str | None
) -> None:
    """Have events delivered to ENDPOINT_URL. Prints the secret, which is shown only now."""
    answer = gateway.add_endpoint(endpoint_url, event_types, secret, again=terminal.say)
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
    terminal.result(
        answer, f"resent: {answer['resent']}{'' if answer['complete'] else ', and the rest follows by itself'}"
    )


@command(payment_gateway, "listen")
@click.option("--forward-to", type=HTTP_URL, required=True, help="Your service's webhook URL.")
@click.option("--events", "event_types", type=WORDS, default="", help="Only these types; without it, all.")
@click.option("--secret", envvar="WEBHOOK_SECRET", show_envvar=True, help="To sign with; without it, one is made.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The port; without it, any free one.")
@click.option("--public-url", type=HTTP_URL, help="Where the gateway reaches this, if not at --host and --port.")
def listen(gateway: Gateway, terminal: Terminal, host: str, port: int, **own: Any) -> None:
    """Forward every delivery to your service until Ctrl-C, and show it.

    Your service gets the gateway's bytes and headers, the gateway your service's answer.

    For a gateway in a container: --host 0.0.0.0 --port 8002 --public-url http://host.docker.internal:8002
    """
    from payment_gateway.cli.forward import Listener  # noqa: PLC0415 - aiohttp takes half a second, and is needed here only

    try:
        asyncio.run(Listener(gateway, terminal, **own).run(host, port))
    except OSError as error:
        raise click.BadParameter(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
