from typing import get_args

import pytest

from payment_gateway.webhooks.deliver import result_of
from payment_gateway.webhooks.delivery import Attempt, Failure
from tests.unit.payment_gateway.examples import NOW


@pytest.mark.parametrize(
    ("status", "failure", "result"),
    [
        *((None, failure, failure) for failure in get_args(Failure)),
        (None, None, "no_answer"),  # an attempt of an earlier version
        (204, None, "2xx"),
        (599, None, "5xx"),
        (999, None, "other"),
    ],
)
def test_an_attempt_counts_by_its_status_or_why_it_has_none(
    status: int | None, failure: Failure | None, result: str
) -> None:
    words = "Forbidden: TimeoutError"  # say nothing
    attempt = Attempt(number=1, at=NOW, status=status, duration_ms=7, failure=failure, error=words, response_body="")
    assert result_of(attempt) == result
