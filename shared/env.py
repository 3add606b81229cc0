"""Settings from the environment: one struct, every value checked, every mistake named."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from shared.telemetry import LogFormat

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Seconds = Annotated[int, msgspec.Meta(ge=1, le=10 * 365 * 86400)]

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

Settings = TypeVar("Settings", bound=msgspec.Struct)


class SettingError(Exception):
    """A setting is missing or does not parse; the message names it and never shows a secret."""


class Secret(str):
    """A string that hides itself in its repr, and so in log lines and tracebacks."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class ServiceSettings(msgspec.Struct, frozen=True, kw_only=True, rename=str.upper):
    """The settings that both services have."""

    mongodb_uri: Secret
    app_env: Literal["production", "development"] = "production"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: LogFormat = "auto"
    console: bool | None = None

    @property
    def has_console(self) -> bool:
        """Whether there is a page at `/`: in development, unless told otherwise."""
        return self.app_env == "development" if self.console is None else self.console


def load(settings: type[Settings], environ: Mapping[str, str]) -> Settings:
    """Reads each field of `settings` from the variable of its encoded name, which `rename=str.upper` makes capitals.

    A secret may come from the file that `<NAME>_FILE` names. Lists are comma-separated. Raises SettingError.
    """
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(settings):
        name = field.encode_name
        if (raw := _read(name, environ)) is None:
            if field.required:
                raise SettingError(f"{name} is not set")
            continue
        values[name] = _parse(name, raw, field.type)
    try:
        return msgspec.convert(values, settings)
    except msgspec.ValidationError as error:
        raise SettingError(_naming(error)) from None


def fault_of(settings: Settings, check: Callable[[Settings], None]) -> str | None:
    """Why `check` refuses the settings, or None."""
    try:
        check(settings)
    except SettingError as error:
        return str(error)
    return None


def _read(name: str, environ: Mapping[str, str]) -> str | None:
    if path := environ.get(f"{name}_FILE"):
        try:
            return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingError(f"{name}_FILE: {type(error).__name__} reading {path}") from None
    return environ.get(name) or None


def _parse(name: str, raw: str, kind: Any) -> Any:
    is_list = str(kind).startswith(("tuple[", "list["))
    parts = [part.strip() for part in raw.split(",") if part.strip()] if is_list else raw
    try:
        return msgspec.convert(parts, kind, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as error:
        reason = str(error) if kind is not Secret and "Secret" not in str(kind) else "does not parse"
        raise SettingError(f"{name}: {reason}") from None


def _decode(kind: Any, value: Any) -> Any:
    if kind is Secret:
        return Secret(value)
    raise NotImplementedError(f"no setting is of type {kind}")


def _naming(error: msgspec.ValidationError) -> str:
    """Turns `Expected … - at `$.PORT`` into `PORT: expected …`."""
    message, _, path = str(error).partition(" - at `$.")
    name = re.match(r"\w+", path)
    return f"{name[0]}: {message}" if name else message
