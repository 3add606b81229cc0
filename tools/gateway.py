"""The payment gateway alone, for a service of your own: MongoDB and one process. `python -m tools.gateway` is
`make gateway`. Its settings may be given in the environment, or to make: `make gateway CHARGE_DELAY_SECONDS=0`.
"""

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import msgspec

from shared.address import Address
from shared.env import Port, SettingError, load
from shared.signing import DEVELOPMENT_SECRET
from tools.mongod import MongodError
from tools.stack import (
    DATA,
    LOCAL,
    Service,
    ServiceError,
    data_directory,
    exit_on_sigterm,
    mongodb,
    port_or_free,
    settings_given,
    start_failure,
    until_ctrl_c,
    wait,
)

PORT = 8001
API_KEY = "development-key"  # as in compose.yaml: nobody else reaches it, and the README's lines work when pasted
DATABASE = "payment_gateway_alone"  # so that it can share a MONGODB_URI with `make run`
OURS = frozenset({"APP_ENV", "MONGODB_URI", "PAYMENT_GATEWAY_API_KEYS"})


class Asked(msgspec.Struct, frozen=True, rename=str.upper):
    """The settings that decide where it listens."""

    payment_gateway_host: str = LOCAL
    payment_gateway_port: Port | None = None


def main(data: Path) -> None:
    """`data` is where everything is kept."""
    exit_on_sigterm()
    with ExitStack() as stack, until_ctrl_c():
        try:
            port = _port()
            data.mkdir(parents=True, exist_ok=True)
            log_file = data / f"payment_gateway_{port}.log"
            log_file.unlink(missing_ok=True)
            uri = stack.enter_context(mongodb(data / "mongodb"))
            gateway = Service("payment_gateway", port, {"MONGODB_URI": uri, **_settings(port)}, log_file)
            stack.callback(gateway.stop)
            gateway.start()
        except (MongodError, ServiceError, SettingError) as error:
            raise SystemExit(f"cannot run: {error}") from None
        except OSError as error:
            raise SystemExit(f"cannot run: {start_failure(error)}") from None
        print(_description(gateway, uri), flush=True)
        wait([gateway])


def _port() -> int:
    """The port that is asked for, else the usual one, else a free one. Raises SettingError."""
    asked = load(Asked, os.environ)
    if asked.payment_gateway_port is None:
        return port_or_free("payment_gateway", PORT, host=asked.payment_gateway_host)
    Address("payment_gateway", asked.payment_gateway_host, asked.payment_gateway_port).require_free()
    return asked.payment_gateway_port


def _api_key() -> str:
    return os.environ.get("PAYMENT_GATEWAY_API_KEY", API_KEY)


def _settings(port: int) -> dict[str, str]:
    """The settings of the environment, and for the others what a test wants."""
    given = {name: value for name, value in settings_given().items() if name.removesuffix("_FILE") not in OURS}
    return {
        "APP_ENV": "development",
        "LOG_FORMAT": "json",
        "PAYMENT_GATEWAY_DATABASE": DATABASE,
        "PAYMENT_GATEWAY_API_KEYS": _api_key(),
        "PAYMENT_GATEWAY_PORT": str(port),
        **given,
    }


def _description(gateway: Service, uri: str) -> str:
    url, key, database = gateway.url, _api_key(), os.environ.get("PAYMENT_GATEWAY_DATABASE", DATABASE)
    command = Path(sys.executable).with_name("payment-gateway")
    shown = command.relative_to(Path.cwd()) if command.is_relative_to(Path.cwd()) else command
    return f"""
payment_gateway   {url}/#key={quote(key)}
API key           {key}
{_endpoint_line()}
MongoDB           mongosh "{uri.replace("/?", f"/{database}?")}"
log               {gateway.log_file}

In another terminal, a charge:

  curl -i {url}/v1/charges \\
       -H 'Authorization: Bearer {key}' \\
       -H 'Content-Type: application/json' -H "Idempotency-Key: $(date +%s)" \\
       -d '{{"amount": 1000, "currency": "USD", "reference": "order-1", "paymentMethod": "pm_card_visa"}}'

And what the gateway does, delivered to your service, three times over:

  export PAYMENT_GATEWAY_URL={url} PAYMENT_GATEWAY_API_KEY={key}
  {shown} listen --forward-to http://127.0.0.1:9000/webhooks
  {shown} trigger payment.succeeded --scenario duplicated
  {shown} clock advance 72h
  {shown} --help

services/payment_gateway/README.md has twelve ways to break an integration.
Ctrl-C stops everything; the data stays in {gateway.log_file.parent}.
Open {url}/#key={quote(key)}"""  # fmt: skip


def _endpoint_line() -> str:
    url = os.environ.get("WEBHOOK_ENDPOINT_URL")
    if not url:
        return "webhooks          to nobody yet: listen, below, or WEBHOOK_ENDPOINT_URL=… make gateway"
    secret = DEVELOPMENT_SECRET if "WEBHOOK_ENDPOINT_SECRET" not in os.environ else "that of WEBHOOK_ENDPOINT_SECRET"
    return f"webhooks          to {url}, signed with {secret}"


if __name__ == "__main__":
    main(data_directory(DATA / "gateway"))
