"""What the command line makes of words before it looks for a database."""

from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from order_api.cli import order_api, time
from shared.times import rfc3339, utc_now

YESTERDAY = rfc3339(utc_now() - timedelta(days=1))


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-01-15", datetime(2026, 1, 15, tzinfo=UTC)),
        ("2026-01-15T08:00:00Z", datetime(2026, 1, 15, 8, tzinfo=UTC)),
        ("2026-01-15T08:00:00+02:00", datetime(2026, 1, 15, 6, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_as_people_write_it(text: str, at: datetime) -> None:
    assert time(text) == at


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["archive"], "Missing option '--before'"),
        (["archive", "--before", "yesterday"], "'yesterday' is no time: write 2026-11-15"),
        (["archive", "--before", "2026-01-15T08:00:00"], "has no time zone"),
        (["archive", "--before", "9000-01-01"], "is in the future"),
        (["archive", "--before", "1969-01-01"], "is no time"),
        (["archive", "--before", YESTERDAY], "the last 7 days are kept"),
        (["ask-now", "--updated-since", ""], "is no time"),
        (["ask-now", "everything"], "unexpected extra argument"),
        (["ask"], "No such command"),
    ],
)
def test_a_line_that_cannot_be_understood_is_refused_by_name(words: list[str], complaint: str) -> None:
    ended = CliRunner().invoke(order_api, words, env={"MONGODB_URI": None, "COLUMNS": "200"})
    assert ended.exit_code == 2
    assert complaint in " ".join(ended.output.replace("│", " ").split())


def test_a_setting_that_is_missing_is_named() -> None:
    ended = CliRunner().invoke(order_api, ["ask-now"], env={"MONGODB_URI": None})
    assert (ended.exit_code, ended.output) == (2, "cannot start: MONGODB_URI is not set\n")
