from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from shared.times import rfc3339, utc_now

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
