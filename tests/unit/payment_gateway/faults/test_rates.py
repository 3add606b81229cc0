import pytest

from payment_gateway.faults.rates import NO_FAULTS, RATED, REPLY_FAULTS, Faults, drawn, drawn_reply, spoils_replies

KEYS = [f"key-{number}" for number in range(4000)]


def share(rate: float, seed: int = 0) -> float:
    faults = Faults(seed=seed, rates={"declined": rate})
    return sum(bool(drawn(faults, key, ["declined"])) for key in KEYS) / len(KEYS)


@pytest.mark.parametrize("rate", [0.05, 0.5, 0.9])
def test_a_rate_is_how_often_it_happens(rate: float) -> None:
    assert abs(share(rate) - rate) < 0.03


def test_never_and_always() -> None:
    assert (share(0), share(1)) == (0, 1)


def test_each_fault_is_drawn_by_itself() -> None:
    faults = Faults(rates=dict.fromkeys(RATED, 0.5))
    assert len({tuple(drawn(faults, key, RATED)) for key in KEYS}) > len(KEYS) * 0.99


def test_what_is_drawn_depends_on_the_seed() -> None:
    one, other = (
        [drawn(Faults(seed=seed, rates={"declined": 0.5}), key, ["declined"]) for key in KEYS] for seed in (1, 2)
    )
    assert one != other


def test_what_is_drawn_never_changes_from_one_version_to_the_next() -> None:
    """Somebody's test depends on it."""
    faults = Faults(seed=42, rates={"declined": 0.3, "reply_lost": 0.3, "reply_slow": 0.3})
    assert [number for number in range(20) if drawn(faults, f"key-{number}", ["declined"])] == [8, 10, 13, 14, 15, 18]
    assert [drawn_reply(faults, "key-0", attempt) for attempt in range(1, 9)] == [
        "slow",
        "slow",
        None,
        "slow",
        "lost",
        "lost",
        "lost",
        None,
    ]


def test_a_higher_rate_adds_to_what_a_lower_one_hits() -> None:
    low, high = (
        {key for key in KEYS if drawn(Faults(rates={"declined": rate}), key, ["declined"])} for rate in (0.2, 0.4)
    )
    assert low < high


def test_each_attempt_has_a_reply_of_its_own() -> None:
    faults = Faults(rates={"reply_lost": 0.5})
    assert {drawn_reply(faults, "key", attempt) for attempt in range(1, 30)} == {None, "lost"}


def test_no_rates_spoil_no_reply() -> None:
    assert not spoils_replies(NO_FAULTS)
    assert not spoils_replies(Faults(rates={"declined": 1.0, "reply_lost": 0.0}))
    assert all(spoils_replies(Faults(rates={f"reply_{fault}": 0.1})) for fault in REPLY_FAULTS)
