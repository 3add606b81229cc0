import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.pages import CursorError, Page, decode_cursor, encode_cursor

ENCODABLE = st.text(st.characters(exclude_categories=["Cs"]))


@given(ENCODABLE)
def test_a_cursor_leads_back_to_its_position(position: str) -> None:
    assert decode_cursor(encode_cursor(position, of="/a"), of="/a") == position


@given(ENCODABLE)
def test_a_cursor_needs_no_escaping_in_a_url(position: str) -> None:
    cursor = encode_cursor(position, of="/a")
    assert not cursor or cursor.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize("cursor", ["!", "a", "a b", "YQ==", "YR", "_w", "é", "\ud800", "YQ\n", "YQ=", "+/+/"])
def test_garbage_is_no_cursor(cursor: str) -> None:
    with pytest.raises(CursorError):
        decode_cursor(cursor, of="/a")


@given(st.text())
def test_arbitrary_text_is_a_cursor_or_a_cursor_error(cursor: str) -> None:
    try:
        position = decode_cursor(cursor, of="/a")
    except CursorError:
        return
    assert encode_cursor(position, of="/a") == cursor


@given(ENCODABLE)
def test_a_cursor_is_of_one_list(position: str) -> None:
    with pytest.raises(CursorError):
        decode_cursor(encode_cursor(position, of="/a"), of="/b")


@given(ENCODABLE, st.data())
def test_a_changed_cursor_is_none(position: str, data: st.DataObject) -> None:
    cursor = encode_cursor(position, of="/a")
    at = data.draw(st.integers(0, len(cursor) - 1))
    other = data.draw(st.sampled_from(sorted(set("abcdefXYZ019-_") - {cursor[at]})))
    with pytest.raises(CursorError):
        decode_cursor(cursor[:at] + other + cursor[at + 1 :], of="/a")


def test_the_last_page_says_so() -> None:
    assert msgspec.json.encode(Page([1, 2], None)) == b'{"data":[1,2],"nextCursor":null}'
