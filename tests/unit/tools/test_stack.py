"""What a stack that the tools start takes from the environment."""

from pathlib import Path

import pytest

from tools.stack import SETTINGS, Service, set_aside


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)
    monkeypatch.setenv("ORDER_API_PORT", "8100")
    monkeypatch.setenv("WEBHOOK_SECRETS_FILE", "/secrets")
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    monkeypatch.setenv("MONGODB_URI", "mongodb://mongo")
    monkeypatch.setenv("HTTP_REQUESTS_MAX", "")


def test_settings_that_are_left_aside_are_named() -> None:
    assert set_aside("MONGODB_URI").endswith(": ORDER_API_PORT, WEBHOOK_SECRETS_FILE.")


def test_a_service_gets_none_of_them(tmp_path: Path) -> None:
    service = Service("order_api", 8000, {"CHARGE_DELAY_SECONDS": "0"}, tmp_path / "log")
    got = {name: value for name, value in service.environment.items() if name.removesuffix("_FILE") in SETTINGS}
    assert {name: value for name, value in got.items() if value} == {"LOG_LEVEL": "DEBUG", "CHARGE_DELAY_SECONDS": "0"}
