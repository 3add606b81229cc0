"""The endpoints to which the gateway delivers, and `listen`, which is one."""

import asyncio
from datetime import timedelta
from typing import Any

import rich_click as click

from payment_gateway.cli.client import Gateway, endpoint_body
from payment_gateway.cli.options import DURATION, HEADER, HTTP_URL, ID, SERVICE_URL, WORDS, command, paged
from payment_gateway.cli.root import payment_gateway
from payment_gateway.cli.show_list import show_list
from payment_gateway.cli.terminal import Columns, Terminal
from shared.times import rfc3339

IN_FLIGHT_MAX = 64  # the gateway takes no more

max_in_flight_option = click.option(
    "--max-in-flight", type=click.IntRange(1, IN_FLIGHT_MAX), help="So many deliveries at a time at most. [default: 64]"
)


@payment_gateway.group("endpoints")
def endpoints() -> None:
    """The endpoints to which events are delivered."""


@command(endpoints, "list")
@paged
def list_endpoints(gateway: Gateway, terminal: Terminal, **asked: Any) -> None:
    """Webhook endpoints, newest first."""
    columns: Columns = {
        "ENDPOINT": "id",
        "STATE": "state",
        "URL": "url",
        "EVENTS": lambda one: " ".join(one["eventTypes"]) or "all",
        "EXPIRES": "expiresAt",
    }
    show_list(gateway, terminal, "/v1/webhook-endpoints", columns, **asked)


@command(endpoints, "add")
@click.argument("endpoint_url", type=SERVICE_URL)
@click.option("--events", "event_types", type=WORDS, default="", help="Only these types; without it, all.")
@click.option("--secret", help="Sign with this secret; without it, the gateway makes one.")
@click.option("--header", "headers", type=HEADER, multiple=True, help="Send this with each delivery. May be repeated.")
@max_in_flight_option
@click.option("--expires", type=DURATION, help="Remove it by itself after so long, such as 8h; without it, never.")
def add_endpoint(
    gateway: Gateway,
    terminal: Terminal,
    endpoint_url: str,
    headers: tuple[tuple[str, str], ...],
    expires: int | None,
    **own: Any,
) -> None:
    """Deliver events to ENDPOINT_URL. Prints the secret, which is shown only now.

    ENDPOINT_URL needs no scheme: localhost:9000/webhooks is http://localhost:9000/webhooks, and so is
    :9000/webhooks.
    """
    if len(dict(headers)) < len(headers):
        raise click.UsageError("an endpoint can have each header only once")
    body = endpoint_body(endpoint_url, **own, headers=dict(headers), expires_in_seconds=expires)
    answer = gateway.create("/v1/webhook-endpoints", body, again=terminal.say)
    terminal.result(answer, f"{answer['id']}  {answer['secret']}")


@command(endpoints, "remove")
@click.argument("endpoint_id", type=ID)
def remove_endpoint(gateway: Gateway, terminal: Terminal, endpoint_id: str) -> None:
    """Delete an endpoint, so that nothing is delivered to it any more."""
    gateway.call("DELETE", f"/v1/webhook-endpoints/{endpoint_id}")
    terminal.result({"id": endpoint_id}, "removed")


@command(endpoints, "enable")
@click.argument("endpoint_id", type=ID)
def enable_endpoint(gateway: Gateway, terminal: Terminal, endpoint_id: str) -> None:
    """Deliver to a disabled endpoint again."""
    answer = gateway.call("PATCH", f"/v1/webhook-endpoints/{endpoint_id}", {"state": "enabled"})
    terminal.result(answer, answer["state"])


@command(endpoints, "rotate")
@click.argument("endpoint_id", type=ID)
@click.option("--overlap", type=DURATION, default="24h", show_default=True, help="How long both secrets sign.")
@click.option("--secret", help="The new secret; without it, the gateway makes one.")
def rotate_secret(gateway: Gateway, terminal: Terminal, endpoint_id: str, overlap: int, secret: str | None) -> None:
    """Change an endpoint's secret. Prints the new one, which is shown only now."""
    body = {"overlapSeconds": overlap, **({"secret": secret} if secret else {})}
    answer = gateway.create(f"/v1/webhook-endpoints/{endpoint_id}/rotate-secret", body, again=terminal.say)
    terminal.result(answer, str(answer["secret"]))


@command(endpoints, "resend")
@click.argument("endpoint_id", type=ID)
@click.option("--since", type=DURATION, required=True, help="How far back, such as 2h.")
def resend_to_endpoint(gateway: Gateway, terminal: Terminal, endpoint_id: str, since: int) -> None:
    """Deliver again, now, everything since then that was not delivered."""
    body = {"since": rfc3339(gateway.now() - timedelta(seconds=since))}
    answer = gateway.call("POST", f"/v1/webhook-endpoints/{endpoint_id}/resend", body)
    terminal.result(
        answer, f"resent: {answer['resent']}{'' if answer['complete'] else ', and the rest follows by itself'}"
    )


@command(payment_gateway, "listen")
@click.option("--forward-to", type=SERVICE_URL, required=True, help="Your service's webhook URL.")
@click.option("--header", "headers", type=HEADER, multiple=True, help="Send this to your service too. May be repeated.")
@click.option("--skip-verify", is_flag=True, help="Take any certificate of an https service, a self-signed one too.")
@click.option("--events", "event_types", type=WORDS, default="", help="Only these types; without it, all.")
@click.option("--secret", envvar="WEBHOOK_SECRET", show_envvar=True, help="To sign with; without it, one is made.")
@max_in_flight_option
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The port; without it, any free one.")
@click.option("--public-url", type=HTTP_URL, help="The URL at which the gateway finds this, if not --host and --port.")
def listen(
    gateway: Gateway,
    terminal: Terminal,
    forward_to: str,
    headers: tuple[tuple[str, str], ...],
    skip_verify: bool,
    host: str,
    port: int,
    public_url: str | None,
    **own: Any,
) -> None:
    """Forward every delivery to your service until Ctrl-C, and show it.

    Your service gets the gateway's bytes and headers, and the gateway gets your service's answer. --forward-to needs no
    scheme, as in localhost:9000/webhooks or :9000/webhooks, and may hold a user name and a password.

    For a gateway in a container: --host 0.0.0.0 --port 8002 --public-url http://host.docker.internal:8002
    """
    if skip_verify and not forward_to.lower().startswith("https:"):
        raise click.UsageError("--skip-verify is for a service at https://…")
    # aiohttp takes half a second, and is needed here only.
    from payment_gateway.cli.forward import Forward  # noqa: PLC0415
    from payment_gateway.cli.listen import Listener  # noqa: PLC0415

    forward = Forward(terminal, forward_to, headers, skip_verify=skip_verify)
    try:
        asyncio.run(Listener(gateway, terminal, forward, public_url, own).run(host, port))
    except OSError as error:
        raise click.BadParameter(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
