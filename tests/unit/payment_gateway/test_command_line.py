"""What the command line makes of words before it asks anybody."""

import pytest
import rich_click as click

from payment_gateway.cli import client
from payment_gateway.cli.options import DURATION, HTTP_URL, ID, NAME
from payment_gateway.cli.terminal import visible
from payment_gateway.cli.trigger import SCENARIO
from payment_gateway.controls import reset


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("5m", 300), ("72h", 259_200), ("3d", 259_200), ("1h30m", 5400)]
)
def test_a_duration_is_read_in_the_units_of_people(text: str, seconds: int) -> None:
    assert DURATION.convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "-1s", "1.5h", "3w", "72 h", "h", "1h30", "٣s", "9" * 12])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        DURATION.convert(text, None, None)


@pytest.mark.parametrize("text", ["http://127.0.0.1:8001", "https://pay.example/base", "http://[::1]:8001/"])
def test_urls_are_taken_as_they_are(text: str) -> None:
    assert HTTP_URL.convert(text, None, None) == text


@pytest.mark.parametrize(
    "text", ["127.0.0.1:8001", "ftp://a", "http://", "http://[::1", "http://a:99999", "http://a b"]
)
def test_what_is_no_url_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        HTTP_URL.convert(text, None, None)


def test_an_id_stays_one_part_of_a_path() -> None:
    assert ID.convert("../test/reset?a", None, None) == "..%2Ftest%2Freset%3Fa"


@pytest.mark.parametrize("kind", [ID, NAME])
def test_what_is_empty_chooses_nothing(kind: click.ParamType[str]) -> None:
    with pytest.raises(click.BadParameter):
        kind.convert("", None, None)


def test_a_reset_is_waited_for_longer_than_it_takes() -> None:
    assert client.RESET_SECONDS > reset.RESET_SECONDS


def test_names_of_faults_make_a_scenario() -> None:
    scenario = SCENARIO.convert("lost, duplicated,wrong_amount,lost", None, None)
    assert scenario == {"replies": ["lost", "lost"], "webhooks": ["duplicated"], "wrongAmount": True}


@pytest.mark.parametrize("text", ["lost,nonsense", "{", "[]"])
def test_what_is_no_scenario_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        SCENARIO.convert(text, None, None)


def test_what_others_sent_cannot_move_the_cursor() -> None:
    assert (
        visible("a\x1b[2Jb\rc\x9bd\ne")
        == "a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}c\N{REPLACEMENT CHARACTER}d\ne"
    )
