from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.times import http_date, rfc3339, utc_now, wait_of

TIMES = st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone


def test_a_time_is_written_in_utc_with_milliseconds_and_z() -> None:
    tokyo = timezone(timedelta(hours=9))
    assert rfc3339(datetime(2024, 3, 1, 9, 30, 0, 5_999, tzinfo=tokyo)) == "2024-03-01T00:30:00.005Z"


def test_a_whole_second_has_its_milliseconds_too() -> None:
    assert rfc3339(datetime(2024, 3, 1, tzinfo=UTC)) == "2024-03-01T00:00:00.000Z"


@given(TIMES)
def test_a_written_time_reads_back_to_the_millisecond(at: datetime) -> None:
    assert datetime.fromisoformat(rfc3339(at)) == at.replace(microsecond=at.microsecond // 1000 * 1000)


def test_now_has_no_more_precision_than_mongodb_keeps() -> None:
    now = utc_now()
    assert now.microsecond % 1000 == 0
    assert now.utcoffset() == timedelta(0)


def test_a_date_of_http_is_rounded_up_to_a_whole_second() -> None:
    at = datetime(2026, 1, 31, 23, 59, 59, 1000, UTC)
    assert http_date(at) == "Sun, 01 Feb 2026 00:00:00 GMT"
    assert http_date(at.replace(microsecond=0)) == "Sat, 31 Jan 2026 23:59:59 GMT"


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("7", 7),
        ("Sun, 01 Feb 2026 00:02:00 GMT", 120),
        ("Sunday, 01-Feb-26 00:02:00 GMT", 120),  # the two obsolete forms, which must be understood
        ("Sun Feb  1 00:02:00 2026", 120),
        ("Sat, 31 Jan 2026 00:00:00 GMT", 0),
        ("9" * 400, float("9" * 12)),
        ("soon", None),
        ("-1", None),
        ("٣", None),
        ("", None),
    ],
)
def test_a_retry_after_is_a_number_of_seconds_or_a_date(retry_after: str, seconds: float | None) -> None:
    assert wait_of(retry_after, now=datetime(2026, 2, 1, tzinfo=UTC)) == seconds
