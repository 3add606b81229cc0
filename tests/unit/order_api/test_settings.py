import hashlib

import pytest

from order_api.settings import Settings, check, off
from shared.env import SettingError, load
from shared.signing import DEVELOPMENT_SECRET

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KEYS = f"alice:{hashlib.sha256(b'sk_1').hexdigest()}"
PRODUCTION = {"MONGODB_URI": "mongodb://db", "WEBHOOK_SECRETS": SECRET, "PAYMENT_GATEWAY_API_KEY": "sk_live_1"}
DEVELOPMENT = {"MONGODB_URI": "mongodb://db", "APP_ENV": "development"}


def checked(environ: dict[str, str], **changes: str) -> Settings:
    settings = load(Settings, {**environ, **changes})
    check(settings)
    return settings


def refusal(environ: dict[str, str], **changes: str) -> str:
    with pytest.raises(SettingError) as refused:
        checked(environ, **changes)
    return str(refused.value)


def test_production_starts_with_its_secrets_set() -> None:
    settings = checked(PRODUCTION)
    assert settings.app_env == "production"
    assert settings.secrets == (SECRET,)


def test_development_needs_nothing_but_a_database() -> None:
    assert checked(DEVELOPMENT).secrets == (DEVELOPMENT_SECRET,)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEBHOOK_SECRETS", ""),
        ("WEBHOOK_SECRETS", DEVELOPMENT_SECRET),
        ("WEBHOOK_SECRETS", f"{SECRET},{DEVELOPMENT_SECRET}"),
        ("PAYMENT_GATEWAY_API_KEY", ""),
    ],
)
def test_production_refuses_missing_and_default_secrets(name: str, value: str) -> None:
    assert name in refusal(PRODUCTION, **{name: value})


@pytest.mark.parametrize("value", ["hunter2hunter2hunter2hunter2", "whsec_hunter2", f"{SECRET},whsec_hunter2"])
@pytest.mark.parametrize("environ", [PRODUCTION, DEVELOPMENT])
def test_what_is_no_webhook_secret_is_refused_without_being_shown(environ: dict[str, str], value: str) -> None:
    reason = refusal(environ, WEBHOOK_SECRETS=value)
    assert reason.startswith("WEBHOOK_SECRETS")
    assert "hunter2" not in reason


def test_two_webhook_secrets_may_be_listed_for_a_rotation() -> None:
    other = f"whsec_{'A' * 32}"
    assert checked(PRODUCTION, WEBHOOK_SECRETS=f"{SECRET},{other}").secrets == (SECRET, other)


def test_a_malformed_api_key_is_refused_without_being_shown() -> None:
    reason = refusal(PRODUCTION, ORDER_API_KEYS=f"{KEYS},alice:hunter2")
    assert reason.startswith("ORDER_API_KEYS")
    assert "hunter2" not in reason


def test_a_key_of_two_merchants_is_refused() -> None:
    reason = refusal(PRODUCTION, ORDER_API_KEYS=f"{KEYS},bob:{hashlib.sha256(b'sk_1').hexdigest()}")
    assert reason == "ORDER_API_KEYS: the merchants alice and bob have the same key"


@pytest.mark.parametrize("key", ["hunter2\nhunter3", "hunter2 hunter3"])
def test_a_key_for_the_provider_that_no_header_can_carry_is_refused_without_being_shown(key: str) -> None:
    reason = refusal(PRODUCTION, PAYMENT_GATEWAY_API_KEY=key)
    assert reason.startswith("PAYMENT_GATEWAY_API_KEY: ")
    assert "hunter2" not in reason


@pytest.mark.parametrize("environ", [PRODUCTION, DEVELOPMENT])
def test_beyond_loopback_somebody_must_be_asked_for_a_key(environ: dict[str, str]) -> None:
    assert "ORDER_API_HOST" in refusal(environ, ORDER_API_HOST="0.0.0.0")


@pytest.mark.parametrize("permission", [{"ORDER_API_KEYS": KEYS}, {"ORDER_API_ALLOW_ANONYMOUS": "true"}])
def test_beyond_loopback_it_starts_with_keys_or_if_told_so(permission: dict[str, str]) -> None:
    assert checked(PRODUCTION, ORDER_API_HOST="0.0.0.0", **permission).order_api_host == "0.0.0.0"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_on_loopback_it_starts_without_keys(host: str) -> None:
    assert checked(PRODUCTION, ORDER_API_HOST=host).order_api_keys == ()


def test_no_secret_shows_in_the_settings() -> None:
    shown = repr(checked(PRODUCTION, ORDER_API_KEYS=KEYS, MONGODB_URI="mongodb://user:hunter2@db"))
    for secret in ("hunter2", SECRET, "sk_live_1", KEYS):
        assert secret not in shown


def test_what_guards_and_is_off_is_named() -> None:
    def named(settings: Settings) -> set[str]:
        return {line.split()[0] for line in off(settings)}

    guarded = {"ORDER_API_KEYS": KEYS, "ORDER_API_RATE_LIMIT_PER_SECOND": "100"}
    assert named(checked(PRODUCTION, **guarded)) == set()
    assert named(checked(PRODUCTION)) == {*guarded}
    assert named(checked(PRODUCTION, **guarded, PAYMENT_GATEWAY_URL="http://pay")) == {"PAYMENT_GATEWAY_URL"}
    assert named(checked(DEVELOPMENT, **guarded)) == {"APP_ENV", "WEBHOOK_SECRETS"}
