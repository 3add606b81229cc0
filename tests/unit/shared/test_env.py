from pathlib import Path
from typing import Literal

import msgspec
import pytest

from shared.env import Port, Seconds, Secret, SettingError, load


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename=str.upper):
    database_uri: Secret
    app_env: Literal["production", "development"] = "production"
    port: Port = 8000
    timeout_seconds: Seconds = 15
    verbose: bool = False
    names: tuple[str, ...] = ()
    api_key: Secret | None = None
    api_keys: tuple[Secret, ...] = ()
    schedule_seconds: tuple[float, ...] = (1.0,)


REQUIRED = {"DATABASE_URI": "mongodb://user:hunter2@host"}


def loaded(**environ: str) -> Settings:
    return load(Settings, {**REQUIRED, **environ})


def refusal(**environ: str) -> str:
    with pytest.raises(SettingError) as refused:
        loaded(**environ)
    return str(refused.value)


def test_each_field_is_read_from_the_variable_of_its_name_in_capitals() -> None:
    settings = loaded(PORT="9000", APP_ENV="development", VERBOSE="true", OTHER="ignored")
    assert (settings.database_uri, settings.port, settings.app_env, settings.verbose) == (
        REQUIRED["DATABASE_URI"],
        9000,
        "development",
        True,
    )


def test_what_is_not_set_or_empty_has_its_default() -> None:
    assert loaded(PORT="", API_KEY="") == loaded()


def test_a_missing_required_setting_is_named() -> None:
    with pytest.raises(SettingError, match="DATABASE_URI is not set"):
        load(Settings, {})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "http"),
        ("TIMEOUT_SECONDS", "0"),
        ("TIMEOUT_SECONDS", "1.5"),
        ("APP_ENV", "prod"),
        ("VERBOSE", "maybe"),
        ("SCHEDULE_SECONDS", "1,soon"),
    ],
)
def test_a_value_that_does_not_parse_is_named(name: str, value: str) -> None:
    assert refusal(**{name: value}).startswith(f"{name}: ")


def test_lists_are_comma_separated_and_blanks_in_them_do_not_count() -> None:
    settings = loaded(NAMES=" a, b,,c ,", SCHEDULE_SECONDS="5,0.5")
    assert (settings.names, settings.schedule_seconds) == (("a", "b", "c"), (5.0, 0.5))


def test_a_secret_may_come_from_a_file_whose_last_newline_does_not_count(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("one,two\r\n")
    assert loaded(API_KEYS_FILE=str(file)).api_keys == ("one", "two")


def test_a_file_beats_the_variable(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("from file\n")
    assert loaded(API_KEY="from variable", API_KEY_FILE=str(file)).api_key == "from file"


@pytest.mark.parametrize("kind", ["missing", "directory", "not text"])
def test_a_file_that_cannot_be_read_stops_the_start_and_is_named(kind: str, tmp_path: Path) -> None:
    (tmp_path / "not text").write_bytes(b"\xff\xfe\x80")
    path = tmp_path if kind == "directory" else tmp_path / kind
    reason = refusal(API_KEY_FILE=str(path))
    assert reason.startswith("API_KEY_FILE: ")
    assert str(path) in reason


def test_a_secret_does_not_show_itself() -> None:
    settings = loaded(API_KEY="hunter3", API_KEYS="hunter4,hunter5")
    assert settings.api_key == "hunter3"
    assert "hunter" not in repr(settings)
    assert "hunter" not in f"{settings.api_keys} {settings.api_key!r}"


def test_a_refusal_never_shows_a_secret() -> None:
    class Other(msgspec.Struct, rename=str.upper):
        api_keys: tuple[Secret, Secret]

    with pytest.raises(SettingError) as refused:
        load(Other, {"API_KEYS": "hunter2"})
    assert str(refused.value) == "API_KEYS: does not parse"
