import hashlib

import pytest

from shared.edge.auth import DEFAULT_MERCHANT, ApiKey, parse_keys
from shared.env import Secret, SettingError

DIGEST = hashlib.sha256(b"sk_1").digest()
OTHER = hashlib.sha256(b"sk_2").digest()


def test_a_key_is_listed_by_merchant_and_digest() -> None:
    keys = parse_keys([Secret(f"alice:{DIGEST.hex()}"), Secret(f"bob-2:{OTHER.hex()}")], name="KEYS")
    assert keys == (ApiKey("alice", DIGEST), ApiKey("bob-2", OTHER))


def test_a_bare_key_belongs_to_the_default_merchant_and_only_its_digest_is_kept() -> None:
    assert parse_keys([Secret("sk_1")], name="KEYS", bare=True) == (ApiKey(DEFAULT_MERCHANT, DIGEST),)


@pytest.mark.parametrize("entry", ["sk_1", "alice:sk_1", f"alice:{DIGEST.hex().upper()}", f"a b:{DIGEST.hex()}", ":"])
def test_a_malformed_entry_is_refused_without_being_shown(entry: str) -> None:
    with pytest.raises(SettingError) as refused:
        parse_keys([Secret(entry)], name="ORDER_API_KEYS")
    assert "ORDER_API_KEYS" in str(refused.value)
    assert entry == ":" or entry not in str(refused.value)


def test_a_mistyped_digest_is_not_taken_for_a_bare_key() -> None:
    with pytest.raises(SettingError):
        parse_keys([Secret(f"alice:{DIGEST.hex()[:-1]}")], name="KEYS", bare=True)


@pytest.mark.parametrize(
    "entries", [(f"alice:{DIGEST.hex()}", f"bob:{DIGEST.hex()}"), (f"alice:{DIGEST.hex()}", "sk_1")]
)
def test_a_key_of_two_merchants_is_refused_and_both_are_named(entries: tuple[str, ...]) -> None:
    with pytest.raises(SettingError, match=r"^KEYS: .*alice") as refused:
        parse_keys([Secret(entry) for entry in entries], name="KEYS", bare=True)
    assert DIGEST.hex() not in str(refused.value)


def test_a_key_may_be_listed_twice_for_one_merchant() -> None:
    assert len(parse_keys([Secret(f"default:{DIGEST.hex()}"), Secret("sk_1")], name="KEYS", bare=True)) == 2


@pytest.mark.parametrize("key", ["hunter2 hunter3", "hunter2\nhunter3", "hunter2\r", "hunter2\t3", "hünter2"])
def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(SettingError, match=r"^KEYS: ") as refused:
        parse_keys([Secret(key)], name="KEYS", bare=True)
    assert "nter2" not in str(refused.value)
