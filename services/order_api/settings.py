"""The settings of order_api, each read from the variable of its name in capitals."""

from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from shared.address import Address
from shared.edge.auth import parse_keys, require_sendable
from shared.env import LOOPBACK, Port, Seconds, Secret, ServiceSettings, SettingError
from shared.signing import DEVELOPMENT_SECRET, SecretError, check_secret


class DatabaseSettings(Struct, frozen=True, kw_only=True, rename=str.upper):
    """All that the command line needs."""

    mongodb_uri: Secret
    order_api_database: str = "order_api"


class Settings(ServiceSettings, frozen=True, kw_only=True, rename=str.upper):
    order_api_database: str = "order_api"
    payment_gateway_console_url: str | None = None  # where a browser finds the other one

    order_api_host: str = "127.0.0.1"
    order_api_port: Port = 8000
    order_api_public_url: str | None = None  # the URL that a start tells people to open, if it is not host and port
    order_api_keys: tuple[Secret, ...] = ()
    order_api_allow_anonymous: bool = False
    # Of each merchant, in each process.
    order_api_rate_limit_per_second: Annotated[float, Meta(ge=0.001, le=1e6)] | None = None

    payment_gateway_url: str = "http://127.0.0.1:8001"
    payment_gateway_api_key: Secret | None = None
    webhook_secrets: tuple[Secret, ...] = ()
    webhook_tolerance_seconds: Seconds = 300
    idempotency_ttl_seconds: Seconds = 86400
    reconcile_after_seconds: Seconds = 60

    @property
    def address(self) -> Address:
        return Address("order_api", self.order_api_host, self.order_api_port, self.order_api_public_url)

    @property
    def other_console_url(self) -> str | None:
        """The URL at which a browser finds the gateway's console; None if nobody can say."""
        is_here = self.app_env == "development" and urlsplit(self.payment_gateway_url).hostname in LOOPBACK
        return self.payment_gateway_console_url or (self.payment_gateway_url if is_here else None)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The webhook secrets; in development there is a default."""
        return self.webhook_secrets or (Secret(DEVELOPMENT_SECRET),)


def off(settings: Settings) -> list[str]:
    """The guards that are off, in one line each."""
    provider = urlsplit(settings.payment_gateway_url)
    looks = {
        "APP_ENV is development: default secrets are taken": settings.app_env == "development",
        "WEBHOOK_SECRETS has the default, which everybody can read": DEVELOPMENT_SECRET in settings.secrets,
        "ORDER_API_KEYS is not set: whoever asks is the merchant default": not settings.order_api_keys,
        "ORDER_API_RATE_LIMIT_PER_SECOND is not set: no merchant is slowed down": (
            settings.order_api_rate_limit_per_second is None
        ),
        "PAYMENT_GATEWAY_URL is not https: our key for the provider travels in clear": (
            provider.scheme != "https" and provider.hostname not in LOOPBACK
        ),
    }
    return [line for line, is_off in looks.items() if is_off]


def check(settings: Settings) -> None:
    """Checks what no single value shows. Raises SettingError."""
    parse_keys(settings.order_api_keys, name="ORDER_API_KEYS")
    if settings.payment_gateway_api_key is not None:
        require_sendable(settings.payment_gateway_api_key, name="PAYMENT_GATEWAY_API_KEY")
    for secret in settings.webhook_secrets:
        try:
            check_secret(secret)
        except SecretError as error:
            raise SettingError(f"WEBHOOK_SECRETS: {error}") from None
    if not settings.payment_gateway_url.startswith(("http://", "https://")):
        raise SettingError("PAYMENT_GATEWAY_URL: must be an http or https URL")
    if settings.app_env == "production":
        if not settings.webhook_secrets or DEVELOPMENT_SECRET in settings.webhook_secrets:
            raise SettingError("WEBHOOK_SECRETS must be set outside development, and not to the development default")
        if settings.payment_gateway_api_key is None:
            raise SettingError("PAYMENT_GATEWAY_API_KEY must be set outside development")
    public = settings.order_api_host not in LOOPBACK
    if public and not settings.order_api_keys and not settings.order_api_allow_anonymous:
        raise SettingError("ORDER_API_HOST is not loopback: set ORDER_API_KEYS, or ORDER_API_ALLOW_ANONYMOUS=true")
