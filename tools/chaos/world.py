"""What the clients and the judge need to know of the cluster that is being broken."""

from pathlib import Path
from typing import NamedTuple

import msgspec

from tools.chaos.webhook_secrets import WebhookSecrets


class Merchant(NamedTuple):
    """A merchant at order_api, and the key that proves it."""

    name: str
    api_key: str


class World(msgspec.Struct, kw_only=True):
    """Addresses are of the proxies, so that whoever uses them meets what the nemesis does; `mongodb_uri` goes past them.

    - `gateway_key` and `webhook_url` are for the second charges and the forgeries of strangers.
    - `webhook_secrets`: all that are true during the run, when they are.
    - `secrets`: what no log may show; the keys and webhook secrets are looked for in any case.
    """

    order_apis: list[str]
    gateways: list[str]
    merchants: list[Merchant]
    gateway_key: str
    webhook_url: str
    webhook_secrets: WebhookSecrets
    mongodb_uri: str
    databases: tuple[str, str] = ("order_api", "payment_gateway")
    logs: list[Path] = []
    secrets: list[str] = []
