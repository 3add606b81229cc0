import aiohttp
import pytest

from payment_gateway.webhooks.deliver import result_of
from payment_gateway.webhooks.delivery import FORBIDDEN, Attempt
from tests.unit.payment_gateway.examples import NOW


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (TimeoutError(), "timeout"),
        (aiohttp.ServerTimeoutError("a: b"), "timeout"),
        (aiohttp.ConnectionTimeoutError(), "timeout"),
        (aiohttp.ServerDisconnectedError(), "no_answer"),
        (aiohttp.InvalidURL("x"), "no_answer"),
        (ConnectionResetError("a TimeoutError: by name only"), "no_answer"),
    ],
)
def test_an_attempt_without_an_answer_timed_out_or_failed(error: Exception, result: str) -> None:
    text = f"{type(error).__name__}: {error}"
    attempt = Attempt(number=1, at=NOW, status=None, duration_ms=7, error=text, response_body="")
    assert result_of(attempt) == result


def test_an_attempt_at_what_the_operator_forbids_is_counted_as_such() -> None:
    error = f"{FORBIDDEN}: 127.0.0.1 is not public"
    attempt = Attempt(number=1, at=NOW, status=None, duration_ms=7, error=error, response_body="")
    assert result_of(attempt) == "forbidden"
