"""How long to wait before trying again."""

from random import Random

_random = Random()  # noqa: S311 - jitter needs no secrecy


def exponential(attempt: int, *, base_seconds: float, cap_seconds: float, random: Random = _random) -> float:
    """Seconds to wait after the `attempt`-th failure (from 1): doubling up to the cap, with the upper half random.

    The jitter keeps callers that failed together from coming back together; the fixed half keeps them from hammering.
    Tests pass a seeded `random`, to both functions.
    """
    ceiling = min(cap_seconds, base_seconds * 2.0 ** min(attempt - 1, 62))
    return ceiling * random.uniform(0.5, 1.0)


def scheduled(seconds: float, *, random: Random = _random) -> float:
    """A delay that a schedule names, moved by up to a tenth either way."""
    return seconds * random.uniform(0.9, 1.1)
