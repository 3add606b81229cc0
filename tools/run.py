"""MongoDB and both services until Ctrl-C. `python -m tools.run` is `make run`.

Every setting of the services may be given in the environment, or to make: `make run ORDER_API_PORT=8100`.
"""

import os
import shutil
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import msgspec

from shared.address import Address
from shared.env import Port, Secret, SettingError, load
from tools.mongod import MongodError
from tools.stack import (
    DATA,
    LOCAL,
    Credentials,
    ServiceError,
    Stack,
    data_directory,
    exit_on_sigterm,
    mongodb,
    port_or_free,
    settings_given,
    start_failure,
    until_ctrl_c,
    wait,
)

PORTS = {"order_api": 8000, "payment_gateway": 8001}


class Asked(msgspec.Struct, frozen=True, rename=str.upper):
    """The settings that concern both services, so that a run must decide them."""

    order_api_host: str = LOCAL
    order_api_port: Port | None = None
    order_api_public_url: str | None = None
    payment_gateway_host: str = LOCAL
    payment_gateway_port: Port | None = None
    payment_gateway_api_key: Secret | None = None
    payment_gateway_api_keys: tuple[Secret, ...] = ()
    webhook_secrets: tuple[Secret, ...] = ()
    webhook_endpoint_secret: Secret | None = None


def main(data: Path) -> None:
    """`data` is where everything is kept."""
    exit_on_sigterm()
    logs = data / "logs"
    with ExitStack() as stack, until_ctrl_c():
        try:
            asked = load(Asked, os.environ)
            order_api, gateway = ports(asked)
            uri = stack.enter_context(mongodb(data / "mongodb"))
            shutil.rmtree(logs, ignore_errors=True)  # only now is it sure that no other run writes there
            logs.mkdir(parents=True, exist_ok=True)
            services = Stack(
                uri,
                logs,
                order_apis=[order_api],
                gateways=[gateway],
                credentials=credentials(asked, Credentials.kept_in(data / "credentials.json")),
                environment=settings_given(),
            )
            running = stack.enter_context(services.running())
        except (MongodError, ServiceError, SettingError) as error:
            raise SystemExit(f"cannot run: {error}") from None
        except OSError as error:
            raise SystemExit(f"cannot run: {start_failure(error)}") from None
        print(_description(running, uri, logs, asked), flush=True)
        wait(running.services)


def ports(asked: Asked) -> tuple[int, int]:
    """The ports of order_api and the gateway: as asked for, else the usual ones, else free ones. Raises SettingError."""
    order_api, gateway = asked.order_api_port, asked.payment_gateway_port
    if order_api is not None:
        Address("order_api", asked.order_api_host, order_api).require_free()
    if gateway is not None:
        Address("payment_gateway", asked.payment_gateway_host, gateway).require_free()
    if order_api is not None and order_api == gateway:
        raise SettingError(
            f"ORDER_API_PORT and PAYMENT_GATEWAY_PORT are both {gateway}; set another port for one of them"
        )
    if order_api is None:
        order_api = port_or_free("order_api", PORTS["order_api"], host=asked.order_api_host, but_not=gateway)
    if gateway is None:
        host = asked.payment_gateway_host
        gateway = port_or_free("payment_gateway", PORTS["payment_gateway"], host=host, but_not=order_api)
    return order_api, gateway


def credentials(asked: Asked, kept: Credentials) -> Credentials:
    """The secrets of both services. One given to either is for both, others are as in the last run. Raises SettingError."""
    bare = [key for key in asked.payment_gateway_api_keys if ":" not in key]
    api_key = asked.payment_gateway_api_key or next(iter(bare), None)
    if api_key is None and asked.payment_gateway_api_keys:
        raise SettingError(
            "PAYMENT_GATEWAY_API_KEYS has only digests; set PAYMENT_GATEWAY_API_KEY to the key of order_api"
        )
    secret = asked.webhook_endpoint_secret or next(iter(asked.webhook_secrets), None)
    return Credentials(secret or kept.webhook_secret, api_key or kept.api_key)


def _description(stack: Stack, uri: str, logs: Path, asked: Asked) -> str:
    order_api, gateway = stack.order_apis[0], stack.gateways[0]
    given = sorted(settings_given())
    lines = [
        f"order_api         {order_api.url}",
        f"payment_gateway   {gateway.url}/#key={quote(stack.api_key)}",
        f"gateway API key   {stack.api_key}",
        f"webhook secret    {stack.webhook_secret}",
        f'MongoDB           mongosh "{uri.replace("/?", "/order_api?")}"',
        f"logs              {logs}/*.log",
        f"settings          {', '.join(given) if given else 'none'} from the environment",
        *_moved(order_api.port, "order_api", asked.order_api_port),
        *_moved(gateway.port, "payment_gateway", asked.payment_gateway_port),
    ]
    return "\n".join(
        [
            "",
            *lines,
            "",
            f"Ctrl-C stops everything; the data stays in {logs.parent}.",
            f"Open {asked.order_api_public_url or order_api.url}",
        ]
    )


def _moved(port: int, service: str, asked: int | None) -> list[str]:
    """A line if the service does not listen where the README says, and nobody has asked for that."""
    if asked is not None or port == PORTS[service]:
        return []
    return [f"                  port {PORTS[service]} is taken; {service.upper()}_PORT chooses another for {service}"]


if __name__ == "__main__":
    main(data_directory(DATA))
