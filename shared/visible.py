"""Text whose every character can be seen, so that two texts that look the same are the same, as far as possible. Pure."""

import re
import unicodedata

_PLAIN = re.compile(r"[!-~]+\Z")
_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"})  # control, bidi, zero-width, unassigned, spaces

# Characters that show nothing although their category is that of a letter, mark or symbol: Default_Ignorable_Code_Point
# (Unicode 16, DerivedCoreProperties.txt) without the categories above, and the blank Braille pattern.
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def is_visible(text: str) -> bool:
    """Whether every character of `text` can be seen, so that two texts that look the same are the same, as far as possible.

    The text is normalised (NFC, Unicode Annex 15), because otherwise "é" could be two names. It does not start with a
    combining mark, which would join the character before it. Empty text is not visible.
    """
    if text.isascii():
        return _PLAIN.match(text) is not None
    return (
        unicodedata.is_normalized("NFC", text)
        and not unicodedata.category(text[0]).startswith("M")
        and not any(unicodedata.category(character) in _UNSEEN for character in text)
        and _BLANK.search(text) is None
    )
