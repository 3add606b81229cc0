"""Text that shows as what it is, so that what looks the same is the same, as far as that can be had. Pure."""

import re
import unicodedata

_PLAIN = re.compile(r"[!-~]+\Z")
_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"})  # control, bidi, zero-width, unassigned, spaces

# What shows nothing though its category is that of a letter, mark or symbol: Default_Ignorable_Code_Point (Unicode 16,
# DerivedCoreProperties.txt) without those of the categories above, and the blank Braille pattern.
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def is_visible(text: str) -> bool:
    """Whether every character of `text` shows, so that what looks the same is the same, as far as that can be had.

    It is normalised (NFC, Unicode Annex 15), as otherwise "é" could be two names; and it does not start with a combining
    mark, which would join what stands before it. Empty text does not show.
    """
    if text.isascii():
        return _PLAIN.match(text) is not None
    return (
        unicodedata.is_normalized("NFC", text)
        and not unicodedata.category(text[0]).startswith("M")
        and not any(unicodedata.category(character) in _UNSEEN for character in text)
        and _BLANK.search(text) is None
    )
