"""The settings of payment_gateway, each read from the variable of its name in capitals."""

import hashlib
import ssl
from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta

from payment_gateway.webhooks.destination import DestinationError, Destinations, parse_destinations
from payment_gateway.webhooks.trust import CaFileError, trusting
from shared.address import Address
from shared.edge.auth import DEFAULT_MERCHANT, ApiKey, parse_keys
from shared.env import LOOPBACK, Port, Seconds, Secret, ServiceSettings, SettingError
from shared.signing import DEVELOPMENT_SECRET, SecretError, check_secret

DEVELOPMENT_KEY = "development-key"  # for `make gateway` and compose.yaml; refused outside development
_DEVELOPMENT_DIGEST = hashlib.sha256(DEVELOPMENT_KEY.encode()).digest()

Delay = Annotated[float, Meta(ge=0, le=365 * 86400)]


class Settings(ServiceSettings, frozen=True, kw_only=True, rename=str.upper):
    order_api_console_url: str | None = None  # where a browser finds the console of order_api

    payment_gateway_host: str = "127.0.0.1"
    payment_gateway_port: Port = 8001
    payment_gateway_public_url: str | None = None  # a start prints this to open, instead of host and port
    payment_gateway_database: str = "payment_gateway"
    payment_gateway_api_keys: tuple[Secret, ...] = ()

    charge_delay_seconds: Delay = 5.0
    webhook_endpoint_url: str | None = None
    webhook_endpoint_secret: Secret | None = None
    webhook_retry_schedule_seconds: tuple[Delay, ...] = (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
    webhook_timeout_seconds: Seconds = 15
    webhook_allowed_hosts: tuple[str, ...] = ()
    webhook_ca_file: str | None = None
    payment_gateway_test_endpoints: bool | None = None

    @property
    def address(self) -> Address:
        host, port = self.payment_gateway_host, self.payment_gateway_port
        return Address("payment_gateway", host, port, self.payment_gateway_public_url)

    @property
    def test_endpoints(self) -> bool:
        """Whether /v1/test is served: in development, unless told otherwise."""
        told = self.payment_gateway_test_endpoints
        return self.app_env == "development" if told is None else told

    @property
    def other_console_url(self) -> str | None:
        """Where a browser finds the console of order_api; None if that is not known."""
        receiver = urlsplit(self.webhook_endpoint_url or "")
        is_here = self.app_env == "development" and receiver.hostname in LOOPBACK
        return self.order_api_console_url or (f"{receiver.scheme}://{receiver.netloc}" if is_here else None)

    @property
    def destinations(self) -> Destinations:
        """Where webhooks may go: to the Internet, and in development also to this machine and its network. Raises
        DestinationError.
        """
        return parse_destinations(self.webhook_allowed_hosts, public_only=self.app_env == "production")

    @property
    def tls(self) -> ssl.SSLContext | None:
        """The trusted certificates of receivers; None for those that the system trusts. Raises CaFileError."""
        return None if self.webhook_ca_file is None else trusting(self.webhook_ca_file)

    @property
    def keys(self) -> tuple[ApiKey, ...]:
        """Parses the API keys. Raises SettingError."""
        return parse_keys(self.payment_gateway_api_keys, name="PAYMENT_GATEWAY_API_KEYS", bare=True)

    @property
    def endpoint_merchant(self) -> str:
        """The merchant of the configured endpoint. Raises SettingError if that is not clear."""
        merchants = {key.merchant for key in self.keys} or {DEFAULT_MERCHANT}
        if DEFAULT_MERCHANT in merchants:
            return DEFAULT_MERCHANT
        if len(merchants) > 1:
            raise SettingError(
                "WEBHOOK_ENDPOINT_URL: PAYMENT_GATEWAY_API_KEYS has several merchants, and none is "
                f"{DEFAULT_MERCHANT!r} to have it; let each add its endpoint by the API"
            )
        return merchants.pop()

    @property
    def endpoint_secret(self) -> Secret:
        """The secret of the configured endpoint; in development there is a default."""
        return self.webhook_endpoint_secret or Secret(DEVELOPMENT_SECRET)


def off(settings: Settings) -> list[str]:
    """The safeguards that are off, a line each."""
    default_secret = settings.webhook_endpoint_url is not None and settings.endpoint_secret == DEVELOPMENT_SECRET
    looks = {
        "APP_ENV is development: default secrets are taken, webhooks go to private addresses": (
            settings.app_env == "development"
        ),
        "PAYMENT_GATEWAY_API_KEYS is not set: whoever asks is the merchant default": not settings.payment_gateway_api_keys,
        "PAYMENT_GATEWAY_TEST_ENDPOINTS: /v1/test is served, which forges and resets": settings.test_endpoints,
        "WEBHOOK_ENDPOINT_SECRET has the default, which everybody can read": default_secret,
    }
    return [line for line, is_off in looks.items() if is_off]


def check(settings: Settings) -> None:
    """Checks values against each other. Raises SettingError."""
    keys = settings.keys
    _check_webhooks(settings)
    if settings.app_env == "production":
        if not settings.payment_gateway_api_keys:
            raise SettingError("PAYMENT_GATEWAY_API_KEYS must be set outside development")
        if any(key.digest == _DEVELOPMENT_DIGEST for key in keys):
            raise SettingError("PAYMENT_GATEWAY_API_KEYS must not have the default of development outside it")
        if settings.webhook_endpoint_url is not None and settings.endpoint_secret == DEVELOPMENT_SECRET:
            raise SettingError("WEBHOOK_ENDPOINT_SECRET must be set outside development, and not to the default")
    if settings.payment_gateway_host not in LOOPBACK and not settings.payment_gateway_api_keys:
        raise SettingError("PAYMENT_GATEWAY_HOST is not loopback: set PAYMENT_GATEWAY_API_KEYS")


def _check_webhooks(settings: Settings) -> None:
    try:
        check_secret(settings.endpoint_secret)
    except SecretError as error:
        raise SettingError(f"WEBHOOK_ENDPOINT_SECRET: {error}") from None
    try:
        destinations = settings.destinations
    except DestinationError as error:
        raise SettingError(f"WEBHOOK_ALLOWED_HOSTS: {error}") from None
    try:
        _ = settings.tls
    except CaFileError as error:
        raise SettingError(f"WEBHOOK_CA_FILE: {error}") from None
    if settings.webhook_endpoint_url is not None:
        if fault := destinations.fault_of(settings.webhook_endpoint_url):
            raise SettingError(f"WEBHOOK_ENDPOINT_URL: {fault}")
        _ = settings.endpoint_merchant
