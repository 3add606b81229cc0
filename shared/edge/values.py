"""The rules for single values in a request: amounts of money, times, visible names, metadata. Pure."""

import re
import unicodedata
from datetime import datetime
from decimal import Decimal
from typing import Annotated

import msgspec

from shared.edge.problems import invalid_field
from shared.times import stored

Metadata = Annotated[dict[str, Annotated[str, msgspec.Meta(max_length=500)]], msgspec.Meta(max_length=50)]
METADATA_KEY_LENGTH_MAX = 40

_PLAIN = re.compile(r"[!-~]+\Z")
_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"})  # control, bidi, zero-width, unassigned, spaces

# Characters that show nothing although Unicode calls them letters, marks or symbols: Default_Ignorable_Code_Point
# (Unicode 16, DerivedCoreProperties.txt) without those of the categories above, and the blank Braille pattern.
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


class Amount(Decimal):
    """A decimal amount of money as people write it, in a JSON number or string: digits, a dot, digits; no exponent."""


def require_visible(pointer: str, text: str, *, spaced: bool = False) -> None:
    """Raises ProblemError for an identifier with characters that do not show. With `spaced` it may have single spaces."""
    if not all(is_visible(word) for word in (text.split(" ") if spaced else [text])):
        spaces = "spaces only one by one and not at the ends" if spaced else "no spaces"
        fault = f"must be visible characters in Unicode's form NFC: {spaces}, no controls, nothing that shows nothing"
        raise invalid_field(pointer, fault)


def moment(pointer: str, given: datetime | str) -> datetime:
    """A time with its zone, such as 2026-11-28T12:00:00Z (RFC 3339 §5.6), as it is stored. Raises ProblemError, also for one
    that MongoDB cannot hold.
    """
    try:
        return stored(msgspec.convert(given, Annotated[datetime, msgspec.Meta(tz=True)]))
    except ValueError:
        raise invalid_field(pointer, "must be a time with its zone, such as 2026-11-28T12:00:00Z") from None


def check_metadata(metadata: dict[str, str]) -> None:
    """Raises ProblemError for a key that is hard to query in MongoDB. Values may be any text."""
    rule = f"keys have 1 to {METADATA_KEY_LENGTH_MAX} visible characters with single spaces; no dot, no $ at the start"
    for name in metadata:
        is_odd = len(name) > METADATA_KEY_LENGTH_MAX or name.startswith("$") or "." in name
        if is_odd or not all(is_visible(word) for word in name.split(" ")):
            raise invalid_field("/metadata", rule)


def is_visible(text: str) -> bool:
    """Whether every character of `text` shows. Then two texts that look the same are mostly the same.

    The text must be normalised (NFC, Unicode Annex 15): otherwise "é" could be written in two ways. It must not start with a
    combining mark, which would join the text before it. Empty text is not visible.
    """
    if text.isascii():
        return _PLAIN.match(text) is not None
    return (
        unicodedata.is_normalized("NFC", text)
        and not unicodedata.category(text[0]).startswith("M")
        and not any(unicodedata.category(character) in _UNSEEN for character in text)
        and _BLANK.search(text) is None
    )
