"""What commands take: where the gateway is, how to print, and values in the words of people."""

import re
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, TypeVar
from urllib.parse import quote

import rich_click as click

from payment_gateway.cli.client import Gateway
from payment_gateway.cli.terminal import Terminal, exit_statuses
from payment_gateway.webhooks.target import TargetError, parse_target

# What `make gateway` and compose.yaml set up.
DEFAULT_URL = "http://127.0.0.1:8001"
DEFAULT_API_KEY = "development-key"

_DURATION = re.compile(r"[0-9]{1,9}|(?:[0-9]{1,9}[smhd]){1,4}")
_PART = re.compile(r"([0-9]+)([smhd]?)")
_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}

Function = Callable[..., None]
T = TypeVar("T")


class Kind(click.ParamType[T]):
    """A kind of value. `read` makes one of what was typed, or raises ValueError, which says why it is none."""

    def __init__(self, name: str, read: Callable[[str], T]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> T:
        try:
            return self._read(value) if isinstance(value, str) else value
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _seconds(text: str) -> int:
    """Whole seconds, from `90`, `90s`, `5m`, `72h`, `3d` or `1h30m`."""
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is no duration: write 90s, 5m, 72h or 3d")
    return sum(int(number) * _UNIT_SECONDS[unit] for number, unit in _PART.findall(text))


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _http_url(text: str) -> str:
    try:
        parse_target(text)
    except TargetError as fault:
        raise ValueError(f"{text!r} {fault}") from None
    return text


def _name(text: str) -> str:
    """Of something, to choose it by. One that is empty, such as a script's variable that is not set, would choose all."""
    if not text:
        raise ValueError("is empty")
    return text


def _id(text: str) -> str:
    """Of something at the gateway, fit to be a part of a path."""
    return quote(_name(text), safe="")


def _api_key(text: str) -> str:
    if not (text.isascii() and text.isprintable()):
        raise ValueError("not visible ASCII")
    return text


DURATION, WORDS, HTTP_URL = Kind("duration", _seconds), Kind("a,b", _words), Kind("url", _http_url)
NAME, ID, API_KEY = Kind("text", _name), Kind("id", _id), Kind("key", _api_key)

_setting = partial(click.option, panel="Gateway", show_default=True, show_envvar=True)
_COMMON = (
    _setting("--url", type=HTTP_URL, default=DEFAULT_URL, envvar="PAYMENT_GATEWAY_URL", help="Where the gateway is."),
    _setting("--api-key", type=API_KEY, default=DEFAULT_API_KEY, envvar="PAYMENT_GATEWAY_API_KEY", help="Its key."),
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
