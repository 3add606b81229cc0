"""What is told of a POST that failed. aiohttp's own words show the URL, or the headers that came: both may hold secrets."""

import errno
from typing import Any

import aiohttp
import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from payment_gateway.webhooks.post import Answer

SECRET_URL = "http://shop.example/hooks?token=s3cret"


def told(failure: Exception | None, status: int | None = None) -> str | None:
    common: dict[str, Any] = {"body": b"", "retry_after_seconds": None}
    return Answer(status=status, failure=failure, headers=CIMultiDictProxy(CIMultiDict()), **common).error


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (aiohttp.ConnectionTimeoutError(f"to host {SECRET_URL}"), "ConnectionTimeoutError: no connection within 5 s"),
        (aiohttp.ClientOSError(errno.EPIPE, f"Can not write for {SECRET_URL}"), "ClientOSError: Broken pipe"),
        (aiohttp.ServerDisconnectedError("Set-Cookie: s3cret"), "ServerDisconnectedError: the connection was closed"),
        (TimeoutError(), "TimeoutError"),
        (aiohttp.ClientPayloadError("two\n  lines"), "ClientPayloadError: two lines"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_failure_is_told_in_one_line_without_secrets(failure: Exception, error: str) -> None:
    assert told(failure) == error
    assert told(failure, 200) == f"after the status line, {error}"


def test_an_answer_that_was_read_has_no_error() -> None:
    assert told(None, 500) is None
