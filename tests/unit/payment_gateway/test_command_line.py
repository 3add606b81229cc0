"""What the command line makes of words before it asks anybody."""

from dataclasses import replace
from typing import Any

import pytest
import rich_click as click

from payment_gateway.cli import client
from payment_gateway.cli.one_event import Asked
from payment_gateway.cli.options import DURATION, HEADER, HTTP_URL, ID, MOMENT, NAME, SERVICE_URL
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
    "text",
    ["http://ann:s3cret@shop", "127.0.0.1:8001", "ftp://a", "http://", "http://[::1", "http://a:99999", "http://a b"],
)
def test_what_is_no_url_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        HTTP_URL.convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("localhost:9000/webhooks", "http://localhost:9000/webhooks"),
        ("127.0.0.1/a?b=://c", "http://127.0.0.1/a?b=://c"),
        ("[::1]:9000", "http://[::1]:9000"),
        (":9000/webhooks", "http://localhost:9000/webhooks"),
        ("HTTPS://shop.example", "HTTPS://shop.example"),
        ("ann:secret@shop:9000", "http://ann:secret@shop:9000"),
    ],
)
def test_where_a_service_is_may_be_written_without_its_scheme(text: str, url: str) -> None:
    assert SERVICE_URL.convert(text, None, None) == url


@pytest.mark.parametrize("text", ["", "ftp://a", "http:9000", "http:/a", "mailto:ann", ":", "/webhooks", "a b"])
def test_what_is_no_place_of_a_service_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        SERVICE_URL.convert(text, None, None)


@pytest.mark.parametrize(
    ("kind", "text"), [(SERVICE_URL, "http://ann:s3cret@shop:99999"), (HTTP_URL, "http://ann:s3cret@shop")]
)
def test_a_url_with_a_password_is_not_shown_when_it_is_refused(kind: click.ParamType[str], text: str) -> None:
    with pytest.raises(click.BadParameter) as refused:
        kind.convert(text, None, None)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("X-Key: a b", ("X-Key", "a b")),
        ("X-Key:", ("X-Key", "")),
        ("Authorization: Basic a:b", ("Authorization", "Basic a:b")),
    ],
)
def test_a_header_is_a_name_and_a_value(text: str, header: tuple[str, str]) -> None:
    assert HEADER.convert(text, None, None) == header


@pytest.mark.parametrize(
    "text", ["s3cret", ": s3cret", "X Key: s3cret", "Content-Length: s3cret", "X-Key: s3cret\x1b[2J"]
)
def test_what_is_no_header_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(click.BadParameter) as refused:
        HEADER.convert(text, None, None)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "moment"),
    [("2h", 7200), ("90", 90), *((time, time) for time in ("2026-01-31T12:00:00Z", "2026-01-31T12:00+02:00"))],
)
def test_a_moment_is_a_time_or_how_long_ago(text: str, moment: int | str) -> None:
    assert MOMENT.convert(text, None, None) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "2026-01-31", "2026-01-31T12:00:00", "-2h"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        MOMENT.convert(text, None, None)


NOTHING_ASKED = Asked(
    event_type="refund.succeeded",
    scenario={},
    charge_scenario=None,
    amount=None,
    currency=None,
    payment_method=None,
    reference=None,
    metadata=(),
    charge_id=None,
    refund_amount=None,
    dispute_amount=None,
    outcome="lost",
)


@pytest.mark.parametrize(
    ("changes", "option"),
    [
        ({"event_type": "payment.failed", "charge_id": "ch_1"}, "--charge"),
        ({"charge_id": "ch_1", "amount": 5}, "--amount"),
        ({"charge_id": "ch_1", "metadata": (("a", "b"),)}, "--metadata"),
        ({"charge_id": "ch_1", "payment_method": "pm_card_visa"}, "--payment-method"),
        ({"event_type": "dispute.created", "refund_amount": 5}, "--refund-amount"),
        ({"dispute_amount": 5}, "--dispute-amount"),
    ],
)
def test_options_that_contradict_the_event_are_refused(changes: dict[str, Any], option: str) -> None:
    assert NOTHING_ASKED.fault() is None
    fault = replace(NOTHING_ASKED, **changes).fault()
    assert fault is not None
    assert option in fault


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
