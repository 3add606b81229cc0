from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.idempotency import (
    TTL,
    Answer,
    KeyedRequest,
    KeyMalformedError,
    KeyReused,
    entry_of,
    fingerprint,
    keyed,
    live,
    new_key,
    parse_key,
)

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)
ENDPOINT = "POST /api/orders"
VISIBLE = "".join(chr(code) for code in range(0x21, 0x7F))
BARE = "".join(character for character in VISIBLE if character not in '",;\\')


class Command(msgspec.Struct):
    amount_minor: int
    metadata: dict[str, str] = {}


def quoted(key: str) -> str:
    return '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'


@given(st.text(BARE, min_size=1, max_size=255))
def test_quoted_and_bare_are_one_key(key: str) -> None:
    assert parse_key(key) == parse_key(quoted(key)) == key


@given(st.text(VISIBLE, min_size=1, max_size=255))
def test_in_quotes_a_key_may_hold_every_visible_character(key: str) -> None:
    assert parse_key(quoted(key)) == key


@pytest.mark.parametrize("header", ["k" * 255, quoted("k" * 255), quoted('"' * 255)])
def test_a_key_of_255_characters_is_taken(header: str) -> None:
    assert len(parse_key(header)) == 255


@pytest.mark.parametrize("header", ["k" * 256, quoted("k" * 256), quoted("\\" * 256)])
def test_a_key_of_256_characters_is_refused(header: str) -> None:
    with pytest.raises(KeyMalformedError):
        parse_key(header)


@pytest.mark.parametrize(
    "header",
    [
        "",
        '""',
        " ",
        "two words",
        '"two words"',
        "a,b",
        "a;b",
        "a\\b",
        'a"b',
        '"open',
        'open"',
        '"a"b"',
        '"a", "b"',
        '"a";q=1',
        '"bad \\escape"',
        '"bad\\escape"',
        '"ends in backslash\\"',
        "key\n",
        '"key"\n',
        "tab\t",
        "nul\0",
        "del\x7f",
        "é",
        '"é"',
        "١٢",
        "\ud800",
    ],
)
def test_a_malformed_key_is_refused(header: str) -> None:
    with pytest.raises(KeyMalformedError):
        parse_key(header)


@given(st.text())
def test_an_arbitrary_header_is_a_key_or_malformed_and_nothing_else(header: str) -> None:
    try:
        key = parse_key(header)
    except KeyMalformedError:
        return
    assert 1 <= len(key) <= 255
    assert set(key) <= set(VISIBLE)


def test_the_spelling_of_a_command_does_not_change_its_fingerprint() -> None:
    one = Command(9990, {"a": "1", "b": "2"})
    other = msgspec.json.decode(b'{ "metadata":{"b":"2", "a":"1"},"amount_minor" : 9990 }', type=Command)
    assert fingerprint(ENDPOINT, one) == fingerprint(ENDPOINT, other)


def test_another_command_has_another_fingerprint() -> None:
    assert fingerprint(ENDPOINT, Command(9990)) != fingerprint(ENDPOINT, Command(9991))


def test_the_same_command_to_another_endpoint_has_another_fingerprint() -> None:
    assert fingerprint(ENDPOINT, Command(9990)) != fingerprint("POST /v1/charges", Command(9990))


def test_a_key_remembers_the_request_and_its_answer_byte_for_byte_for_24_hours() -> None:
    key = new_key(keyed("key-1", ENDPOINT, Command(9990)), body=b'{"id": 1}', location="/x/ord_1", now=NOW)
    assert (key.value, key.of, key.expires_at) == ("key-1", "ord_1", NOW + TTL)
    assert key.answer == Answer(201, '{"id": 1}', "/x/ord_1", replayed=False)
    again = Answer(201, '{"id": 1}', "/x/ord_1", replayed=True)
    assert key.replayed_for(keyed("key-1", ENDPOINT, Command(9990))) == again
    assert key.replayed_for(keyed("key-1", ENDPOINT, Command(1))) == KeyReused()
    other = KeyedRequest(value="key-1", endpoint="POST /api/other", fingerprint=key.fingerprint)
    assert key.replayed_for(other) == KeyReused(), "even if the fingerprint were the same"
    assert entry_of([key], "key-1") is key
    assert entry_of([key], "key-2") is None


def test_a_key_is_kept_for_24_hours() -> None:
    """Stripe's floor."""
    assert timedelta(hours=24) <= TTL


def test_a_key_is_live_until_the_moment_it_expires() -> None:
    """C10"""
    key = new_key(keyed("key-1", ENDPOINT, None), body=b"", location="/x/1", now=NOW)
    assert live([key], NOW + TTL - timedelta(milliseconds=1)) == (key,)
    assert live([key], NOW + TTL) == ()
