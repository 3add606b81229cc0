"""compose.yaml and .env.example say what settings.py says."""

import re
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import pytest

import order_api.settings
import payment_gateway.settings
from shared.edge.limits import HttpLimits
from shared.env import load

ROOT = Path(__file__).parent.parent.parent
SETTINGS: dict[str, list[type[msgspec.Struct]]] = {
    "order-api": [order_api.settings.Settings, HttpLimits],
    "payment-gateway": [payment_gateway.settings.Settings, HttpLimits],
}
IN_THE_IMAGE = {"ORDER_API_HOST", "ORDER_API_PORT", "PAYMENT_GATEWAY_HOST", "PAYMENT_GATEWAY_PORT"}


def names(service: str) -> set[str]:
    return {field.encode_name for settings in SETTINGS[service] for field in msgspec.structs.fields(settings)}


def compose_file() -> str:
    return (ROOT / "compose.yaml").read_text()


def env_example() -> dict[str, str]:
    return dict(re.findall(r"^#([A-Z0-9_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))


@pytest.mark.parametrize("service", SETTINGS)
def test_every_setting_reaches_its_container(service: str) -> None:
    services: dict[str, Any] = msgspec.yaml.decode(compose_file())["services"]
    assert names(service) - IN_THE_IMAGE <= set(services[service]["environment"])


def test_env_example_names_every_variable_and_no_other() -> None:
    settings = names("order-api") | names("payment-gateway")
    compose = set(re.findall(r"\$\{([A-Z0-9_]+)", compose_file()))
    passed_on = set(re.findall(r"^ +([A-Z0-9_]+):$", compose_file(), re.MULTILINE))
    assert set(env_example()) == settings | compose | passed_on


def test_every_variable_in_env_example_has_a_line_that_explains_it() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    for line, before in zip(lines[1:], lines, strict=False):
        if re.match(r"#[A-Z0-9_]+=", line):
            assert before.startswith("# "), line


def test_env_example_shows_the_defaults() -> None:
    example = env_example()
    in_compose = dict(re.findall(r"\$\{([A-Z0-9_]+):?-([^}]+)\}", compose_file()))
    assert in_compose == {name: example.pop(name) for name in in_compose}
    for settings in chain(*SETTINGS.values()):
        assert load(settings, {**example, "MONGODB_URI": "x"}) == load(settings, {"MONGODB_URI": "x"})
