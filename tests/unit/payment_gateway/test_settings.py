import hashlib
from pathlib import Path

import pytest

from payment_gateway.settings import Settings, check, off
from shared.env import SettingError, load
from shared.signing import DEVELOPMENT_SECRET

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
URL = "https://shop.example/hooks"
HASHED = f"alice:{hashlib.sha256(b'sk_1').hexdigest()}"
BOB = f"bob:{hashlib.sha256(b'sk_2').hexdigest()}"
PRODUCTION = {
    "MONGODB_URI": "mongodb://db",
    "PAYMENT_GATEWAY_API_KEYS": HASHED,
    "WEBHOOK_ENDPOINT_URL": URL,
    "WEBHOOK_ENDPOINT_SECRET": SECRET,
}
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
    assert checked(PRODUCTION).endpoint_secret == SECRET


def test_development_needs_nothing_but_a_database() -> None:
    assert checked(DEVELOPMENT, WEBHOOK_ENDPOINT_URL="http://127.0.0.1:8000").endpoint_secret == DEVELOPMENT_SECRET


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PAYMENT_GATEWAY_API_KEYS", ""),
        ("WEBHOOK_ENDPOINT_SECRET", ""),
        ("WEBHOOK_ENDPOINT_SECRET", DEVELOPMENT_SECRET),
    ],
)
def test_production_refuses_missing_and_default_secrets(name: str, value: str) -> None:
    assert name in refusal(PRODUCTION, **{name: value})


def test_production_without_an_endpoint_in_its_environment_needs_no_secret_for_it() -> None:
    checked(PRODUCTION, WEBHOOK_ENDPOINT_URL="", WEBHOOK_ENDPOINT_SECRET="")


@pytest.mark.parametrize("environ", [PRODUCTION, DEVELOPMENT])
def test_what_is_no_webhook_secret_is_refused_without_being_shown(environ: dict[str, str]) -> None:
    reason = refusal(environ, WEBHOOK_ENDPOINT_SECRET="whsec_hunter2")
    assert reason.startswith("WEBHOOK_ENDPOINT_SECRET")
    assert "hunter2" not in reason


def test_keys_may_be_hashed_for_a_merchant_or_bare_for_the_default_one() -> None:
    assert checked(PRODUCTION, PAYMENT_GATEWAY_API_KEYS=f"{HASHED},sk_3").payment_gateway_api_keys == (HASHED, "sk_3")


@pytest.mark.parametrize(
    "key", ["development-key", f"alice:{hashlib.sha256(b'development-key').hexdigest()}", f"{HASHED},development-key"]
)
def test_production_refuses_the_key_of_development_however_it_is_written(key: str) -> None:
    reason = refusal(PRODUCTION, PAYMENT_GATEWAY_API_KEYS=key)
    assert reason.startswith("PAYMENT_GATEWAY_API_KEYS")
    assert "development-key" not in reason
    checked(DEVELOPMENT, PAYMENT_GATEWAY_API_KEYS=key)


@pytest.mark.parametrize(
    ("keys", "merchant"),
    [("", "default"), ("sk_1", "default"), (HASHED, "alice"), (f"{HASHED},sk_3", "default"), (f"{HASHED},{BOB}", None)],
)
def test_the_endpoint_of_the_environment_is_the_default_merchants_or_the_only_ones(
    keys: str, merchant: str | None
) -> None:
    given = {**DEVELOPMENT, "WEBHOOK_ENDPOINT_URL": URL, "PAYMENT_GATEWAY_API_KEYS": keys}
    if merchant is None:
        assert refusal(given).startswith("WEBHOOK_ENDPOINT_URL")
        checked(given, WEBHOOK_ENDPOINT_URL="")
    else:
        assert checked(given).endpoint_merchant == merchant


def test_a_malformed_api_key_is_refused_without_being_shown() -> None:
    reason = refusal(PRODUCTION, PAYMENT_GATEWAY_API_KEYS="alice:hunter2")
    assert reason.startswith("PAYMENT_GATEWAY_API_KEYS")
    assert "hunter2" not in reason


def test_a_key_of_two_merchants_is_refused() -> None:
    reason = refusal(PRODUCTION, PAYMENT_GATEWAY_API_KEYS=f"{HASHED},bob:{hashlib.sha256(b'sk_1').hexdigest()}")
    assert reason == "PAYMENT_GATEWAY_API_KEYS: the merchants alice and bob have the same key"


@pytest.mark.parametrize("keys", ["sk_1\nsk_2", "sk 1"])
def test_a_key_that_no_header_can_carry_is_refused(keys: str) -> None:
    assert refusal(PRODUCTION, PAYMENT_GATEWAY_API_KEYS=keys).startswith("PAYMENT_GATEWAY_API_KEYS: ")


@pytest.mark.parametrize(
    "url", ["shop.example/hooks", "ftp://shop.example", "file:///etc/passwd", "//shop.example", "httpx://shop.example"]
)
def test_an_endpoint_is_reached_over_http_or_https(url: str) -> None:
    assert refusal(PRODUCTION, WEBHOOK_ENDPOINT_URL=url).startswith("WEBHOOK_ENDPOINT_URL")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CHARGE_DELAY_SECONDS", "-1"),
        ("CHARGE_DELAY_SECONDS", "nan"),
        ("WEBHOOK_RETRY_SCHEDULE_SECONDS", "5,-300"),
        ("WEBHOOK_TIMEOUT_SECONDS", "0"),
        ("PAYMENT_GATEWAY_PORT", "80000"),
    ],
)
def test_a_value_out_of_range_stops_the_start_and_is_named(name: str, value: str) -> None:
    assert refusal(DEVELOPMENT, **{name: value}).startswith(f"{name}: ")


def test_a_retry_schedule_may_be_shortened() -> None:
    settings = checked(DEVELOPMENT, WEBHOOK_RETRY_SCHEDULE_SECONDS="0.1, 0.2")
    assert settings.webhook_retry_schedule_seconds == (0.1, 0.2)


def test_no_secret_shows_in_the_settings() -> None:
    shown = repr(checked(PRODUCTION, MONGODB_URI="mongodb://user:hunter2@db"))
    for secret in ("hunter2", SECRET, HASHED):
        assert secret not in shown


def test_production_delivers_to_the_internet_and_where_it_is_told_to() -> None:
    told = checked(PRODUCTION, WEBHOOK_ALLOWED_HOSTS="order-api, 10.0.0.0/8").destinations
    assert told.allows_name("order-api")
    assert told.forbids("10.0.0.1") is None
    assert told.forbids("192.168.0.1")


def test_development_delivers_to_this_machine() -> None:
    assert checked(DEVELOPMENT).destinations.forbids("127.0.0.1") is None


def test_what_is_no_host_stops_the_start_and_is_named() -> None:
    assert refusal(PRODUCTION, WEBHOOK_ALLOWED_HOSTS="http://shop").startswith("WEBHOOK_ALLOWED_HOSTS: 'http://shop'")


@pytest.mark.parametrize(("content", "reason"), [(None, "No such file or directory"), ("", "holds no certificate")])
def test_a_file_without_a_certificate_authority_stops_the_start_and_is_named(
    tmp_path: Path, content: str | None, reason: str
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    assert refusal(DEVELOPMENT, WEBHOOK_CA_FILE=str(path)) == f"WEBHOOK_CA_FILE: {path}: {reason}"


@pytest.mark.parametrize("url", ["http://127.1/hooks", "http://shop.example:0/", "http://a..b/"])
def test_an_endpoint_that_cannot_be_called_stops_the_start(url: str) -> None:
    assert refusal(DEVELOPMENT, WEBHOOK_ENDPOINT_URL=url).startswith("WEBHOOK_ENDPOINT_URL: must ")


def test_an_endpoint_at_an_address_that_is_not_allowed_stops_the_start() -> None:
    url = "http://127.0.0.1:8000/hooks"
    assert "127.0.0.1 is not public" in refusal(PRODUCTION, WEBHOOK_ENDPOINT_URL=url)
    checked(PRODUCTION, WEBHOOK_ENDPOINT_URL=url, WEBHOOK_ALLOWED_HOSTS="127.0.0.1")


def test_what_guards_and_is_off_is_named() -> None:
    def named(settings: Settings) -> set[str]:
        return {line.split()[0].rstrip(":") for line in off(settings)}

    assert named(checked(PRODUCTION)) == set()
    assert named(checked(PRODUCTION, PAYMENT_GATEWAY_TEST_ENDPOINTS="true")) == {"PAYMENT_GATEWAY_TEST_ENDPOINTS"}
    development = {"APP_ENV", "PAYMENT_GATEWAY_API_KEYS", "PAYMENT_GATEWAY_TEST_ENDPOINTS"}
    assert named(checked(DEVELOPMENT)) == development
    assert named(checked(DEVELOPMENT, WEBHOOK_ENDPOINT_URL=URL)) == {*development, "WEBHOOK_ENDPOINT_SECRET"}
