"""`payment-gateway listen`: its options."""

import asyncio
from typing import Any

import rich_click as click

from payment_gateway.cli.client import Gateway
from payment_gateway.cli.options import HTTP_URL, WORDS, command
from payment_gateway.cli.root import payment_gateway
from payment_gateway.cli.terminal import Terminal


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
