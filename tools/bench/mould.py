"""Casts many documents from one that a service has stored. They differ only in ids, names and times. Pure."""

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import bson

from shared.times import rfc3339

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Mould:
    """`own` are the parts that differ in each cast, wherever they stand in the document, in longer texts too."""

    def __init__(self, document: Mapping[str, Any], own: Sequence[bytes]) -> None:
        times = {time if time.tzinfo else time.replace(tzinfo=UTC) for time in _times_in(document)}
        dates = {_date(unix_ms(time)): unix_ms(time) for time in times}
        texts = {_text(unix_ms(time)): unix_ms(time) for time in times}
        holes = b"|".join(re.escape(hole) for hole in (*own, *dates, *texts))
        self._own = own
        self._parts = re.split(b"(" + holes + b")", bson.encode(document))  # every second one is a hole
        found = set(self._parts[1::2])
        self._dates = {hole: at for hole, at in dates.items() if hole in found}
        self._texts = {hole: at for hole, at in texts.items() if hole in found}

    def cast(self, own: Sequence[bytes], *, later_ms: int) -> bytes:
        """Returns it as BSON with these parts, each as long as the one that it replaces, and with later times."""
        filled = dict(zip(self._own, own, strict=True))
        assert all(len(old) == len(new) for old, new in filled.items()), "BSON counts the bytes of a text"
        for hole, at in self._dates.items():
            filled[hole] = _date(at + later_ms)
        for hole, at in self._texts.items():
            filled[hole] = _text(at + later_ms)
        parts = self._parts.copy()
        parts[1::2] = [filled[hole] for hole in parts[1::2]]
        return b"".join(parts)


def id_hex(at_ms: int, random: Random) -> bytes:
    """The hex of a UUIDv7 that was made at that Unix time (RFC 9562 §5.7)."""
    return b"%012x7%03x8%015x" % (at_ms, random.getrandbits(12), random.getrandbits(60))


def unix_ms(time: datetime) -> int:
    return (time - _EPOCH) // _MILLISECOND


def _date(at_ms: int) -> bytes:
    """A time as BSON has it."""
    return struct.pack("<q", at_ms)


def _text(at_ms: int) -> bytes:
    """A time as JSON has it."""
    return rfc3339(_EPOCH + at_ms * _MILLISECOND).encode()


def _times_in(value: Any) -> Iterator[datetime]:
    match value:
        case datetime():
            yield value
        case dict():
            for member in value.values():
                yield from _times_in(member)
        case list():
            for member in value:
                yield from _times_in(member)
