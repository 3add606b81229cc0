from shared.edge.admit import RateLimit

NOW = 1000.0


def taken(limit: RateLimit, merchant: str = "alice", *, now: float = NOW) -> int:
    """How many requests pass at once."""
    count = 0
    while not limit.seconds_to_wait(merchant, now=now):
        count += 1
    return count


def test_a_second_s_worth_may_come_at_once_and_no_more() -> None:
    assert taken(RateLimit(5)) == 5


def test_what_is_refused_is_told_how_long_to_wait_and_then_passes() -> None:
    limit = RateLimit(4)
    taken(limit)
    wait = limit.seconds_to_wait("alice", now=NOW)
    assert 0 < wait <= 0.25
    assert limit.seconds_to_wait("alice", now=NOW + wait) == 0


def test_asking_too_early_does_not_lengthen_the_wait() -> None:
    limit = RateLimit(4)
    taken(limit)
    assert limit.seconds_to_wait("alice", now=NOW) == limit.seconds_to_wait("alice", now=NOW)


def test_unused_requests_are_not_saved_up() -> None:
    limit = RateLimit(5)
    taken(limit)
    assert taken(limit, now=NOW + 3600) == 5


def test_one_merchant_does_not_use_up_another_s() -> None:
    limit = RateLimit(5)
    taken(limit)
    assert taken(limit, "bob") == 5


def test_less_than_one_a_second_lets_one_pass_at_a_time() -> None:
    limit = RateLimit(0.1)
    assert taken(limit) == 1
    assert taken(limit, now=NOW + 10) == 1
