"""No process takes over from another, or tries again, only because a test is slow. A test that wants it makes it so."""

import pytest


@pytest.fixture(autouse=True)
def _leisurely(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("announcement", "settle"):
        monkeypatch.setattr(f"payment_gateway.money.{module}.HAND_SECONDS", 1800)
    monkeypatch.setattr("payment_gateway.webhooks.passed_over.PAUSE_SECONDS", 1800)
