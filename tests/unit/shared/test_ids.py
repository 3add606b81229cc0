import re
from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from shared.ids import TIME_DIGITS, derive_id, first_id, new_id

PARTS = st.lists(st.text(max_size=20), max_size=3)


def uuid_of(identifier: str) -> UUID:
    return UUID(identifier.partition("_")[2])


def test_an_id_is_its_prefix_and_a_uuid_7_in_hex() -> None:
    identifier = new_id("ord")
    uuid = uuid_of(identifier)
    assert identifier == f"ord_{uuid.hex}"
    assert (uuid.version, uuid.variant) == (7, RFC_4122)


def test_ids_are_unique() -> None:
    assert len({new_id("ord") for _ in range(10_000)}) == 10_000


def test_ids_sort_by_the_time_they_were_made() -> None:
    ids = [new_id("ch") for _ in range(1000)]
    assert ids == sorted(ids)


@given(PARTS)
def test_deriving_an_id_twice_is_deriving_it_once(parts: list[str]) -> None:
    """C2, C23"""
    source = new_id("ch")
    assert derive_id("evt", source, *parts) == derive_id("evt", source, *parts)


@given(PARTS)
def test_a_derived_id_is_a_uuid_7_of_its_sources_time(parts: list[str]) -> None:
    source = new_id("ch")
    derived = derive_id("evt", source, *parts)
    uuid = uuid_of(derived)
    assert derived == f"evt_{uuid.hex}"
    assert (uuid.version, uuid.variant) == (7, RFC_4122)
    assert uuid.hex[:TIME_DIGITS] == uuid_of(source).hex[:TIME_DIGITS]


def test_an_id_can_be_derived_from_an_id_of_anybody() -> None:
    assert re.fullmatch(r"rf_[0-9a-f]{12}7[0-9a-f]{3}8[0-9a-f]{15}", derive_id("rf", "ch-of-another-provider"))


def test_another_prefix_source_or_part_makes_another_id() -> None:
    one, other = new_id("ch"), new_id("ch")
    ids = [
        derive_id("evt", one, "payment.succeeded"),
        derive_id("evt", one, "payment.failed"),
        derive_id("evt", other, "payment.succeeded"),
        derive_id("dlv", one, "payment.succeeded"),
        derive_id("evt", one),
        derive_id("evt", one, "payment", "succeeded"),
        derive_id("evt", one, "paymentsucceeded"),
    ]
    assert len({identifier.partition("_")[2] for identifier in ids}) == len(ids)


def test_an_id_that_is_made_at_a_time_or_later_is_not_less_than_the_first_of_that_time() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=5)
    made = new_id("ord")
    after = datetime.now(UTC) + timedelta(milliseconds=5)
    assert first_id("ord", before) < made < first_id("ord", after)


def test_ids_derived_from_one_source_sort_as_their_places_do() -> None:
    source = new_id("ch")
    ids = [derive_id("evt", source, f"part {15 - place}", place=place) for place in range(16)]
    assert ids == sorted(ids)
