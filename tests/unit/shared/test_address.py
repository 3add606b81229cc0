"""The address that a person opens."""

import pytest

from shared.address import Address


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("192.0.2.1", "http://192.0.2.1:8000"),
        ("localhost", "http://localhost:8000"),
        ("::1", "http://[::1]:8000"),
        ("0.0.0.0", "http://localhost:8000"),
        ("::", "http://localhost:8000"),
    ],
)
def test_it_can_be_opened_wherever_the_service_listens(host: str, url: str) -> None:
    assert Address("order_api", host, 8000).url == url


def test_it_is_the_public_one_where_there_is_one() -> None:
    assert Address("order_api", "0.0.0.0", 8000, "https://orders.example").url == "https://orders.example"
