"""Which headers a merchant may choose, for the deliveries of an endpoint and for a webhook that a test sends."""

import pytest

from payment_gateway.webhooks.header import Header, fault_of, fault_of_own, hidden


@pytest.mark.parametrize("name", ["Authorization", "X-Gateway-Token", "cookie", "x.y", "$z", "a" * 100])
def test_a_token_is_the_name_of_a_header(name: str) -> None:
    assert fault_of_own({name: "Bearer abc def"}) is None


@pytest.mark.parametrize("name", ["", "a b", "a:b", "naïve", "a\n", "a" * 101, "(x)"])
def test_what_is_no_token_is_no_name(name: str) -> None:
    assert fault_of({name: "1"})
    assert fault_of_own({name: "1"})


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "Connection", "TE", "Upgrade", "expect"])
def test_nobody_chooses_where_a_message_ends(name: str) -> None:
    assert fault_of({name: "1"})
    assert fault_of_own({name: "1"})


@pytest.mark.parametrize(
    "name",
    [
        "Content-Type",
        "USER-AGENT",
        "Host",
        "X-Signature",
        "webhook-id",
        "Webhook-Anything",
        "traceparent",
        "tracestate",
    ],
)
def test_an_endpoint_has_no_header_that_the_gateway_sends_itself_and_a_test_may_send_it(name: str) -> None:
    fault = fault_of_own({name: "hunter2"})
    assert fault is not None
    assert name in fault
    assert fault_of({name: "hunter2"}) is None


@pytest.mark.parametrize("value", ["a\nb", "a\r\nX-Other: 1", " a", "a ", "caf\u00e9", "\x00", "\x7f"])
def test_a_value_is_visible_ascii_and_is_shown_in_no_refusal(value: str) -> None:
    fault = fault_of_own({"X-Token": value})
    assert fault is not None
    assert value not in fault


def test_a_name_is_given_once_in_whatever_case() -> None:
    assert fault_of_own({"X-Token": "1", "x-token": "2"})


def test_no_value_is_shown() -> None:
    header = Header("X-Token", "hunter2")
    assert "hunter2" not in repr(header)
    assert hidden((header,)) == {"X-Token": "…"}
