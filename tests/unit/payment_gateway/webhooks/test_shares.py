"""An endpoint holds a third of as many slots as are free, so that slow ones never hold up the others."""

from hypothesis import given
from hypothesis import strategies as st

from payment_gateway.webhooks.shares import Shares

SLOTS = 256


def hang(*endpoint_ids: str) -> tuple[Shares, int]:
    """The shares, and the slots left free, once each of these has taken all that it may and given nothing back."""
    shares, free = Shares(), SLOTS
    for _ in range(SLOTS):
        free -= sum(shares.fill(endpoint_ids, free))
    return shares, free


def test_one_that_hangs_gets_a_quarter() -> None:
    _, free = hang("we_1")
    assert free == SLOTS * 3 // 4


@given(st.integers(1, 60))
def test_of_many_that_hang_none_gets_more_than_a_third_of_what_stays_free(count: int) -> None:
    shares, free = hang(*(f"we_{number}" for number in range(count)))
    assert abs(free - SLOTS * 3 / (count + 3)) <= count
    assert len(shares.full(free)) == count


@given(st.integers(1, 12))
def test_of_many_that_begin_to_hang_one_after_the_other_each_takes_a_quarter_of_the_rest(count: int) -> None:
    shares, free = Shares(), SLOTS
    for number in range(count):
        free -= sum(shares.fill([f"we_{number}"] * SLOTS, free))
    assert free >= int(SLOTS * 0.75**count) - count


@given(st.lists(st.sampled_from("abcdefgh")))
def test_whoever_holds_nothing_may_have_the_last_slot(held: list[str]) -> None:
    shares = Shares()
    for endpoint_id in held:
        shares.hold(endpoint_id)
    assert shares.fill(["we_new"], 1) == [True]


def test_whoever_comes_later_still_finds_a_slot() -> None:
    shares, free = hang("we_1", "we_2", "we_3")
    assert shares.fill(["we_1", "we_4", "we_2"], free) == [False, True, False]


def test_an_endpoint_alone_that_gives_back_gets_more() -> None:
    shares, free = hang("we_1")
    assert shares.full(free) == ["we_1"]
    shares.give_back("we_1")
    assert shares.full(free + 1) == []


def test_an_endpoint_with_a_bound_of_its_own_gets_no_more() -> None:
    shares = Shares()
    shares.bound({"we_1": 2})
    assert shares.fill(["we_1", "we_1", "we_1", "we_2"], SLOTS) == [True, True, False, True]
    assert shares.full(SLOTS) == ["we_1"]
    shares.give_back("we_1")
    assert shares.full(SLOTS) == []
    assert shares.fill(["we_1", "we_1"], SLOTS) == [True, False]


def test_a_bound_above_its_share_gives_an_endpoint_no_more_than_that() -> None:
    shares, free = Shares(), SLOTS
    shares.bound({"we_1": SLOTS})
    for _ in range(SLOTS):
        free -= sum(shares.fill(["we_1"], free))
    assert free == SLOTS * 3 // 4


def test_who_holds_nothing_is_forgotten() -> None:
    shares = Shares()
    shares.hold("we_1")
    shares.give_back("we_1")
    assert shares.full(0) == []


def test_a_copy_is_another() -> None:
    shares = Shares()
    shares.copy().hold("we_1")
    assert shares.full(1) == []
