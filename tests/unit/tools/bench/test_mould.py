"""Documents that `make bench` stores are like the one that they are cast from, in all but what must differ."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import bson
import pytest
from bson import Int64, ObjectId
from bson.codec_options import CodecOptions

from shared.ids import time_of
from tools.bench.mould import Mould, id_hex, unix_ms

PLACED = datetime(2026, 11, 28, 10, 25, 34, 446000, tzinfo=UTC)
PAID = PLACED + timedelta(milliseconds=83)
OLD, NEW = b"0" * 31 + b"a", b"0" * 31 + b"b"
WRITER = ObjectId("6b0aac23e89e0b3dc81fd6d9")
AWARE: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True)


def order(own: bytes, key: str, *, later: timedelta = timedelta(0), writer: ObjectId = WRITER) -> dict[str, Any]:
    text = (PLACED + later).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "_id": f"ord_{own.decode()}",
        "amount_minor": Int64(9999),
        "status": "Paid",
        "history": [{"status": "Pending", "at": PLACED + later}, {"status": "Paid", "at": PAID + later}],
        "keys": [{"value": key, "body": f'{{"id":"ord_{own.decode()}","createdAt":"{text}"}}'}],
        "due_at": None,
        "writer": writer,
    }


def cast(own: bytes, key: str, *, later: timedelta, writer: ObjectId = WRITER) -> dict[str, Any]:
    mould = Mould(order(OLD, "key-1"), [OLD, b"key-1", WRITER.binary])
    raw = mould.cast([own, key.encode(), writer.binary], later_ms=later // timedelta(milliseconds=1))
    return bson.decode(raw, AWARE)


def test_a_cast_with_nothing_of_its_own_is_the_document() -> None:
    assert cast(OLD, "key-1", later=timedelta(0)) == order(OLD, "key-1")


@pytest.mark.parametrize("later", [timedelta(days=-30), timedelta(milliseconds=83), timedelta(hours=1)])
def test_a_cast_has_its_own_ids_and_times_wherever_they_stand_and_the_rest_as_it_was(later: timedelta) -> None:
    """Also where the times lie so that one of them becomes another."""
    writer = ObjectId()
    assert cast(NEW, "key-2", later=later, writer=writer) == order(NEW, "key-2", later=later, writer=writer)


def test_a_part_of_another_length_is_refused() -> None:
    with pytest.raises(AssertionError, match="counts the bytes"):
        cast(NEW, "key-22", later=timedelta(0))


def test_an_id_that_is_cast_says_when_its_order_was_placed() -> None:
    hexes = {id_hex(unix_ms(PLACED), Random(seed)).decode() for seed in range(100)}
    assert len(hexes) == 100
    assert {time_of(f"ord_{one}") for one in hexes} == {PLACED}
    assert all(len(one) == 32 and one[12] == "7" and one[16] == "8" for one in hexes)
