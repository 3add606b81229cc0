from shared.edge.admit import RateLimit


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def taken(limit: RateLimit, merchant: str = "alice") -> int:
    """How many requests pass at once."""
    count = 0
    while not limit.seconds_to_wait(merchant):
        count += 1
    return count


def test_a_second_s_worth_may_come_at_once_and_no_more() -> None:
    assert taken(RateLimit(5, Clock())) == 5


def test_what_is_refused_is_told_how_long_to_wait_and_then_passes() -> None:
    clock = Clock()
    limit = RateLimit(4, clock)
    taken(limit)
    wait = limit.seconds_to_wait("alice")
    assert 0 < wait <= 0.25
    clock.now += wait
    assert limit.seconds_to_wait("alice") == 0


def test_asking_too_early_does_not_lengthen_the_wait() -> None:
    limit = RateLimit(4, Clock())
    taken(limit)
    assert limit.seconds_to_wait("alice") == limit.seconds_to_wait("alice")


def test_unused_requests_are_not_saved_up() -> None:
    clock = Clock()
    limit = RateLimit(5, clock)
    taken(limit)
    clock.now += 3600
    assert taken(limit) == 5


def test_one_merchant_does_not_use_up_another_s() -> None:
    limit = RateLimit(5, Clock())
    taken(limit)
    assert taken(limit, "bob") == 5


def test_less_than_one_a_second_lets_one_pass_at_a_time() -> None:
    clock = Clock()
    limit = RateLimit(0.1, clock)
    assert taken(limit) == 1
    clock.now += 10
    assert taken(limit) == 1
