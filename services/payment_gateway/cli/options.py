"""The options of commands: the gateway's address, the way to print, and values as people write them."""

import re
from collections.abc import Callable
from datetime import datetime
from functools import partial, wraps
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import rich_click as click

from payment_gateway.cli.client import Gateway
from payment_gateway.cli.terminal import Terminal, exit_statuses

# `make gateway` and compose.yaml set up these.
DEFAULT_URL = "http://127.0.0.1:8001"
DEFAULT_API_KEY = "development-key"

_DURATION = re.compile(r"[0-9]{1,9}|(?:[0-9]{1,9}[smhd]){1,4}")
_PART = re.compile(r"([0-9]+)([smhd]?)")
_PORT = re.compile(r":[0-9]")
_USER = re.compile(r"([a-z]+://)([^/?#]*)@", re.IGNORECASE)
_SCHEME = re.compile(r"https?:|[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")  # RFC 9110 §5.1
_FRAMING = frozenset(
    ("connection", "content-length", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade")
)
_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}

Function = Callable[..., None]
T = TypeVar("T")


class Kind(click.ParamType[T]):
    """A kind of value. `read` parses the text, or raises ValueError with the reason why it cannot."""

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
    """The URL of a gateway. No error shows it, because it may hold a password."""
    try:
        parts = urlsplit(text)
        valid = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0 and text.isprintable()
    except ValueError:  # from its brackets, or its port
        valid = False
    if not valid or " " in text:
        raise ValueError("it must be an http or https URL with a host")
    if parts.username is not None:
        raise ValueError("it must hold no user name or password")
    return text


def _service_url(text: str) -> str:
    """The URL of a service, as people write it: `localhost:9000/webhooks` is http, and `:9000/webhooks` is on this machine.
    It may hold a user name and a password.
    """
    from payment_gateway.webhooks.target import TargetError, parse_target  # noqa: PLC0415 - yarl takes a while

    if not _SCHEME.match(text):
        text = f"http://localhost{text}" if _PORT.match(text) else f"http://{text}"
    try:
        parse_target(without_user(text)[0])
    except TargetError as fault:
        raise ValueError(f"the URL {fault}") from None
    return text


def without_user(url: str) -> tuple[str, str | None]:
    """Splits a URL into itself without user name and password, and these two as they stand before its `@`."""
    parts = _USER.match(url)
    return (parts[1] + url[parts.end() :], parts[2]) if parts else (url, None)


def _header(text: str) -> tuple[str, str]:
    """A header's name and value. No error shows the value, which may be a secret."""
    name, colon, value = text.partition(":")
    value = value.strip(" \t")
    if not (colon and _HEADER_NAME.fullmatch(name)):
        raise ValueError("it is not a header, such as 'Name: value'")
    if name.lower() in _FRAMING:
        raise ValueError(f"{name} says where a message ends, and cannot be chosen")
    if not (value.isascii() and value.replace("\t", " ").isprintable()):
        raise ValueError(f"the value of {name} is not visible ASCII")
    return name, value


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ValueError(f"{text!r} is not name=value")
    return name, value


def _moment(text: str) -> int | str:
    """A time as the API takes it, or a number of seconds ago."""
    if _DURATION.fullmatch(text):
        return _seconds(text)
    try:
        zone = datetime.fromisoformat(text).tzinfo
    except ValueError:
        raise ValueError(f"{text!r} is neither a time nor a duration: write 2026-01-31T12:00:00Z or 2h") from None
    if zone is None:
        raise ValueError(f"{text!r} has no zone: end it with Z, or with an offset such as +02:00")
    return text


def _name(text: str) -> str:
    """A name to choose by. An empty one, such as a script's unset variable, would choose everything, so it is refused."""
    if not text:
        raise ValueError("is empty")
    return text


def _id(text: str) -> str:
    """The id of a thing at the gateway, quoted as a part of a path."""
    return quote(_name(text), safe="")


def _api_key(text: str) -> str:
    if not (text.isascii() and text.isprintable()):
        raise ValueError("not visible ASCII")
    return text


DURATION, MOMENT, WORDS = Kind("duration", _seconds), Kind("time|duration", _moment), Kind("a,b", _words)
HTTP_URL, SERVICE_URL = Kind("url", _http_url), Kind("url", _service_url)
HEADER, PAIR = Kind("name: value", _header), Kind("name=value", _pair)
NAME, ID, API_KEY = Kind("text", _name), Kind("id", _id), Kind("key", _api_key)

_setting = partial(click.option, panel="Gateway", show_default=True, show_envvar=True)
_COMMON = (
    _setting("--url", type=HTTP_URL, default=DEFAULT_URL, envvar="PAYMENT_GATEWAY_URL", help="Where the gateway is."),
    _setting("--api-key", type=API_KEY, default=DEFAULT_API_KEY, envvar="PAYMENT_GATEWAY_API_KEY", help="Its API key."),
    click.option(
        "--json",
        "as_json",
        panel="Gateway",
        is_flag=True,
        help="Print JSON: one document on a line, or a line for each of a stream.",
    ),
)
_PAGED = (
    click.option("--limit", type=click.IntRange(1, 10_000), help="How many, newest first. [default: 20]"),
    click.option("--cursor", type=NAME, help="Go on where an earlier list has ended."),
    click.option(
        "--all", "every", is_flag=True, help="The whole list, page by page; with --json a line for each page."
    ),
    click.option("--created-from", type=MOMENT, help="Only those made then or later; 2h means two hours ago."),
    click.option("--created-to", type=MOMENT, help="Only those made before."),
)


def command(group: click.Group, name: str) -> Callable[[Function], Function]:
    """A command of `group` that calls a gateway. Its function gets the gateway and the terminal, then its own options."""

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
        made.params = [*made.params[len(_COMMON) :], *made.params[: len(_COMMON)]]  # the help shows its own first
        return function

    return decorate


def paged(function: Function) -> Function:
    """Adds the options of every list. The function gets `limit`, `cursor`, `every`, `created_from` and `created_to`."""
    for option in reversed(_PAGED):
        function = option(function)
    return function
