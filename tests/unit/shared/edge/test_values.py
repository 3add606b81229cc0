"""What shows, and so may name something."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.edge.values import is_visible


@pytest.mark.parametrize("text", ["ORD-1", "#!~", "größe", "注文", "طلب", "x\u0301", "😀", "Å"])
def test_letters_marks_digits_and_symbols_of_any_script_show(text: str) -> None:
    assert is_visible(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "a b",
        "a\n",
        "\0",
        "a\x7f",
        "\u200b",
        "a\u202e",
        "\u3164",
        "\uffa0",
        "a\ufe0f",
        "\u2800",
        "\u0301",
        "e\u0301",
    ],
)
def test_what_does_not_show_or_shows_in_two_ways_does_not(text: str) -> None:
    assert not is_visible(text)


@given(st.text())
def test_whatever_shows_has_one_form_and_no_space(text: str) -> None:
    if is_visible(text):
        assert unicodedata.normalize("NFC", text) == text
        assert text == "".join(text.split())
        assert all(character.isprintable() for character in text)


@given(st.text(min_size=1))
def test_one_character_that_does_not_show_is_enough(text: str) -> None:
    assert not is_visible(text + "\u200b")
