"""What commands take: where the gateway is, how to print, and values in the words of people."""

import re
from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import quote, urlsplit

import rich_click as click

from payment_gateway.cli.client import Gateway
from payment_gateway.cli.terminal import Terminal, exit_statuses

# What `make gateway` and compose.yaml set up.
DEFAULT_URL = "http://127.0.0.1:8001"
DEFAULT_API_KEY = "development-key"

_DURATION = re.compile(r"[0-9]{1,9}|(?:[0-9]{1,9}[smhd]){1,4}")
_PART = re.compile(r"([0-9]+)([smhd]?)")
_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}

Function = Callable[..., None]


class Duration(click.ParamType[int]):
    """Whole seconds, from `90`, `90s`, `5m`, `72h`, `3d` or `1h30m`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        if not _DURATION.fullmatch(value):
            self.fail(f"{value!r} is no duration: write 90s, 5m, 72h or 3d", param, ctx)
        return sum(int(number) * _UNIT_SECONDS[unit] for number, unit in _PART.findall(value))


class Words(click.ParamType[list[str]]):
    """Words with commas between them."""

    name = "a,b"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        return value if isinstance(value, list) else [word.strip() for word in value.split(",") if word.strip()]


class HttpUrl(click.ParamType[str]):
    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            parts = urlsplit(value)
            valid = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0 and value.isprintable()
        except ValueError:  # of its brackets, or its port
            valid = False
        if not valid or " " in value:
            self.fail(f"{value!r} is no http or https URL", param, ctx)
        return str(value)


class Name(click.ParamType[str]):
    """Of something, to choose it by. One that is empty, such as a script's variable that is not set, would choose all."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not value:
            self.fail("is empty", param, ctx)
        return str(value)


class Id(Name):
    """Of something at the gateway, fit to be a part of a path."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return quote(super().convert(value, param, ctx), safe="")


class ApiKey(click.ParamType[str]):
    name = "key"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not (value.isascii() and value.isprintable()):
            self.fail("not visible ASCII", param, ctx)
        return str(value)


DURATION, WORDS, HTTP_URL, NAME, ID = Duration(), Words(), HttpUrl(), Name(), Id()

_COMMON = (
    click.option(
        "--url",
        panel="Gateway",
        type=HTTP_URL,
        default=DEFAULT_URL,
        envvar="PAYMENT_GATEWAY_URL",
        show_default=True,
        show_envvar=True,
        help="Where the gateway is.",
    ),
    click.option(
        "--api-key",
        panel="Gateway",
        type=ApiKey(),
        default=DEFAULT_API_KEY,
        envvar="PAYMENT_GATEWAY_API_KEY",
        show_default=True,
        show_envvar=True,
        help="Its key.",
    ),
    click.option(
        "--json",
        "as_json",
        panel="Gateway",
        is_flag=True,
        help="Print JSON: one document on a line, or a line for each of a stream.",
    ),
)


def command(group: click.Group, name: str) -> Callable[[Function], Function]:
    """A command of `group` that asks a gateway: its function gets the gateway and the terminal, then its own options."""

    def decorate(function: Function) -> Function:
        @wraps(function)
        def run(url: str, api_key: str, as_json: bool, **own: Any) -> None:
            terminal = Terminal(as_json=as_json)
            with exit_statuses(terminal):
                function(Gateway(url, api_key), terminal, **own)

        decorated: Any = run
        for option in reversed(_COMMON):
            decorated = option(decorated)
        for panel in ("Gateway", "Options"):
            decorated = click.option_panel(panel)(decorated)
        made = group.command(name)(decorated)
        made.params = [*made.params[len(_COMMON) :], *made.params[: len(_COMMON)]]  # its own come first in its help
        return function

    return decorate


def limit_option(function: Function) -> Function:
    limit = click.IntRange(1, 10_000)
    return click.option("--limit", type=limit, default=20, show_default=True, help="How many, newest first.")(function)
